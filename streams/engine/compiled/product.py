"""A product of 128 bits for compiled code, which numba has no number for."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped,unused-ignore]
from numba.core import types
from numba.extending import intrinsic

WIDE = ir.IntType(128)
HALF = ir.IntType(64)


def _folded(typing_context: Any, one: Any, other: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        product = builder.mul(*(builder.zext(number, WIDE) for number in arguments))
        high = builder.lshr(product, ir.Constant(WIDE, 64))
        return builder.xor(builder.trunc(product, HALF), builder.trunc(high, HALF))

    return types.int64(types.int64, types.int64), generate


folded_product: Any = intrinsic(_folded)
"""`folded_product(one, other)`, of compiled code only: both halves of the unsigned product, one xor the other."""
