"""
A copy of bytes as fast as C's, for compiled code.

A loop over the bytes of a record of 230 took numba 170 ns, this copy 14.
"""

from typing import Any

from numba.core import cgutils as untyped_cgutils
from numba.core import types
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils


def _copy(typing_context: Any, out: Any, at: Any, data: Any, start: Any, count: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, source = (context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 2))
        target = builder.gep(to, [arguments[1]])
        cgutils.raw_memcpy(builder, target, builder.gep(source, [arguments[3]]), arguments[4], 1)
        return context.get_dummy_value()

    return types.void(out, types.int64, data, types.int64, types.int64), generate


copy_bytes: Any = intrinsic(_copy)
"""`copy_bytes(out, at, data, start, count)`, of compiled code only. Nothing is checked: the caller has. No overlap."""
