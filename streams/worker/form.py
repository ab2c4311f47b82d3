"""The packed state of an account, as far as recovery must understand it."""

from streams.core.state import ENTRY, HAS_TAIL, HEADER, VERSION, is_newer, unpack
from streams.engine.accounts import Accounts


class PackedStates:
    """The form of `streams.core.state`."""

    def check(self, packed: bytes) -> None:
        """Raises Refused for bytes that are no state; only those with a tail are unpacked, for speed."""
        if len(packed) >= HEADER.size and packed[0] == VERSION and not packed[1] & HAS_TAIL:
            networks = HEADER.unpack_from(packed)[2]
            if len(packed) == HEADER.size + networks * ENTRY.size:
                return
        unpack(packed)

    def is_newer(self, candidate: bytes, held: bytes) -> bool:
        """Whether a changelog record may replace the one held. Raises Refused for a candidate that is no state."""
        self.check(candidate)
        return is_newer(candidate, held)

    def newest_login(self, accounts: Accounts) -> int:
        """The greatest offset of a login that some account has applied; -1 = none."""
        return accounts.newest_login()
