package loginwatch;

import java.io.File;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The common job on Kafka Streams; everything is set by environment variables, see benchmarks/harness/systems.py. */
public final class Peer {
    private static final String STORE = "accounts";
    private static final AtomicBoolean BEGUN = new AtomicBoolean();
    private static final AtomicLong RESTORED = new AtomicLong();

    private Peer() {}

    public static void main(String[] arguments) {
        KafkaStreams streams = new KafkaStreams(topology(), settings());
        streams.setGlobalStateRestoreListener(new CountRestored());
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) {
                mark("READY", " " + RESTORED.get());
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Topology topology() {
        KeyValueBytesStoreSupplier store = env("STORE", "memory").equals("memory")
                ? Stores.inMemoryKeyValueStore(STORE)
                : Stores.persistentKeyValueStore(STORE);
        Topology topology = new Topology();
        topology.addSource("logins", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), env("INPUT", ""));
        topology.addProcessor("job", Job::new, "logins");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(store, Serdes.String(), Serdes.ByteArray()).withCachingDisabled(), "job");
        topology.addSink("blocks", env("OUTPUT", ""), Serdes.String().serializer(), Serdes.ByteArray().serializer(), "job");
        return topology;
    }

    private static Properties settings() {
        Properties settings = new Properties();
        settings.putAll(Map.of(
                StreamsConfig.APPLICATION_ID_CONFIG, env("APP", ""),
                StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("KAFKA", ""),
                StreamsConfig.PROCESSING_GUARANTEE_CONFIG, env("GUARANTEE", StreamsConfig.AT_LEAST_ONCE),
                StreamsConfig.NUM_STREAM_THREADS_CONFIG, env("THREADS", "2"),
                StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, env("COMMIT_MS", "500"),
                StreamsConfig.STATE_DIR_CONFIG, new File(env("STATE_DIR", "")).getPath(),
                StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0",
                StreamsConfig.producerPrefix("acks"), "all",
                StreamsConfig.producerPrefix("compression.type"), env("COMPRESSION", "lz4"),
                StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest"));
        settings.put(StreamsConfig.consumerPrefix("max.poll.records"), env("POLL", "10000"));
        return settings;
    }

    private static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    /** One line for the harness: the word, CPU seconds of this process so far, and the time. */
    private static void mark(String word, String more) {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        System.out.printf(Locale.ROOT, "%s %.3f %.3f%s%n", word, system.getProcessCpuTime() / 1e9,
                System.currentTimeMillis() / 1e3, more);
        System.out.flush();
    }

    /** Decode, keep the addresses of the last hour, write a block. */
    private static final class Job implements Processor<String, byte[], String, byte[]> {
        private final Login login = new Login();
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, byte[]> accounts;

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            this.accounts = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            if (!BEGUN.get() && BEGUN.compareAndSet(false, true)) {
                mark("FIRST", "");
            }
            login.read(record.value());
            if (!login.success) {
                return;
            }
            byte[] state = Addresses.with(accounts.get(record.key()), login.ip, login.time);
            if (Addresses.isOver(state)) {
                state = Addresses.expired(state, login.time);
                if (Addresses.isOver(state) && login.time >= Addresses.quietUntil(state)) {
                    Addresses.setQuietUntil(state, login.time + Addresses.WINDOW_MS);
                    context.forward(new Record<>(record.key(), Long.toString(login.time).getBytes(), record.timestamp()));
                }
            }
            accounts.put(record.key(), state);
        }
    }

    private static final class CountRestored implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long start, long end) {}

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long records) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long records) {
            RESTORED.addAndGet(records);
        }
    }
}
