"""Loops over numbers, compiled to machine code when they are first called (by Numba); other threads run meanwhile.

What was compiled is kept on disk, beside the source or in the user's cache folder. A constant of another file is no
part of what it is kept under: give a compiled function such a value as an argument.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.extending import intrinsic, register_jitable


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which takes and returns arrays and numbers, compiled."""
    with contextlib.suppress(RuntimeError):  # there may be no place on disk that can be written
        return njit(cache=True, nogil=True)(function)
    return njit(nogil=True)(function)


@intrinsic
def _pointer(_context: Any, address: Any) -> Any:
    def to_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(address), to_pointer


@register_jitable
def array_at(address, shape, dtype):  # type: ignore[no-untyped-def]
    """In a compiled function: the array of that shape and type whose numbers begin at an address."""
    return carray(_pointer(address), shape, dtype)  # type: ignore[call-arg]  # (the first is the compiler's)
