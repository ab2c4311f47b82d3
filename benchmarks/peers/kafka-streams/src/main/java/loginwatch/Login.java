package loginwatch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;

/** A single-object Login, all fields read, by Avro's own decoder and without its generic records (which cost more). */
final class Login {
    private static final int HEADER_BYTES = 10;

    long time;
    String account;
    byte[] ip;
    boolean success;
    int service;
    final String[] context = new String[5];

    private final Utf8 text = new Utf8();
    private BinaryDecoder decoder;

    void read(byte[] raw) {
        try {
            decoder = DecoderFactory.get().binaryDecoder(raw, HEADER_BYTES, raw.length - HEADER_BYTES, decoder);
            time = decoder.readLong();
            account = decoder.readString(text).toString();
            ip = decoder.readString(text).toString().getBytes(StandardCharsets.UTF_8);
            success = decoder.readBoolean();
            service = decoder.readEnum();
            for (int field = 0; field < context.length; field++) {
                context[field] = decoder.readIndex() == 0 ? null : decoder.readString(text).toString();
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
