package loginwatch;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * The state of an account, packed: until when it is quiet (8 bytes, big endian), then per address its length, its text
 * and its last login (8 bytes). It is its own changelog value, so nothing is serialised twice.
 */
final class Addresses {
    static final long WINDOW_MS = 3_600_000;
    static final int ALLOWED = 5;
    private static final int TIME_BYTES = 8;

    private Addresses() {}

    /** A new state with this login: its address's time set, or the address appended. */
    static byte[] with(byte[] old, byte[] ip, long time) {
        byte[] before = old == null ? new byte[TIME_BYTES] : old;
        for (int at = TIME_BYTES; at < before.length; at += 1 + before[at] + TIME_BYTES) {
            int start = at + 1;
            if (before[at] == ip.length && Arrays.equals(before, start, start + ip.length, ip, 0, ip.length)) {
                byte[] patched = before.clone();
                ByteBuffer.wrap(patched).putLong(start + ip.length, time);
                return patched;
            }
        }
        byte[] longer = Arrays.copyOf(before, before.length + 1 + ip.length + TIME_BYTES);
        ByteBuffer.wrap(longer, before.length, longer.length - before.length).put((byte) ip.length).put(ip).putLong(time);
        return longer;
    }

    static boolean isOver(byte[] state) {
        int count = 0;
        for (int at = TIME_BYTES; at < state.length; at += 1 + state[at] + TIME_BYTES) {
            count++;
        }
        return count > ALLOWED;
    }

    /** The state without the addresses that were last used a window ago or longer. */
    static byte[] expired(byte[] state, long time) {
        ByteBuffer kept = ByteBuffer.allocate(state.length).put(state, 0, TIME_BYTES);
        for (int at = TIME_BYTES; at < state.length; ) {
            int size = 1 + state[at] + TIME_BYTES;
            if (time - ByteBuffer.wrap(state).getLong(at + 1 + state[at]) < WINDOW_MS) {
                kept.put(state, at, size);
            }
            at += size;
        }
        return Arrays.copyOf(kept.array(), kept.position());
    }

    static long quietUntil(byte[] state) {
        return ByteBuffer.wrap(state).getLong(0);
    }

    static void setQuietUntil(byte[] state, long time) {
        ByteBuffer.wrap(state).putLong(0, time);
    }
}
