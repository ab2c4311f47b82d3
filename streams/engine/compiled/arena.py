"""Memory that grows without being copied."""

import mmap

import numpy as np

from streams.engine.compiled.numbers import Bytes


class Arena:
    """
    An array of bytes, `data`, that can become longer: its pages are moved by the system, and not copied.

    New bytes are zero, and take no memory until they are written.
    """

    def __init__(self, length: int) -> None:
        self._memory = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.data: Bytes = np.frombuffer(self._memory, np.uint8)

    def grow(self, length: int) -> None:
        """
        Make it that long; nobody else may hold `data` meanwhile.

        Raises OSError where the system has no more memory, BufferError where somebody holds it; it is as it was then.
        """
        del self.data  # the memory cannot be moved while an array looks at it
        try:
            self._memory.resize(length)
        finally:
            self.data = np.frombuffer(self._memory, np.uint8)
