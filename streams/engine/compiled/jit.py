"""
How functions are compiled, by numba (LLVM), and where the machine code is remembered.

Compiling takes seconds, so what was compiled is kept (`folder.py`), apart for every content of the sources: numba itself only
looks whether the one file changed that a function is written in. Where nothing can be kept every start compiles anew.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import config, njit

from streams.engine.compiled import folder

Function = TypeVar("Function", bound=Callable[..., object])

FOLDER = folder.chosen()
cast("Any", config).CACHE_DIR = str(FOLDER)
PROBLEM = folder.problem(FOLDER)
KEPT = not PROBLEM
"""Asked here, as numba would go on to look for a folder, in which it finds code of other sources."""

_njit: Any = njit
"""Also takes `_nrt`, which is not documented: without numba's counting of references to arrays, 0.78 µs a login became 0.52."""


def compiled(function: Function) -> Function:
    """The function as machine code, made when it is first called with arguments of new types."""
    return cast("Function", _njit(cache=KEPT, _nrt=False)(function))


def compiled_aside(function: Function) -> Function:
    """As `compiled`, and other threads of Python go on while it runs: for long work on arrays that nobody else has."""
    return cast("Function", _njit(cache=KEPT, _nrt=False, nogil=True)(function))
