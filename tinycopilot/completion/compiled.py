"""Loops over numbers, compiled to machine code when they are first called (by Numba); other threads run meanwhile.

What was compiled is kept on disk: in NUMBA_CACHE_DIR, else beside the source, else in the user's cache folder
(`places.compiled_code`). A constant of another file is no part of what it is kept under: give a compiled function such
a value as an argument.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import carray, njit, types  # type: ignore[attr-defined]
from numba.core import config
from numba.extending import intrinsic, register_jitable

from tinycopilot import places

_given: str = config.CACHE_DIR  # type: ignore[attr-defined]  # Numba's own setting
CACHE = places.compiled_code(Path(_given) if _given else Path(__file__).with_name("__pycache__"))
"""Where it is kept; None: nowhere. (Numba itself would take ~/.cache as it stands for a user without a home.)"""
config.CACHE_DIR = str(CACHE or "") if Path(__file__).with_name("__pycache__") != CACHE else ""  # type: ignore[attr-defined]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which takes and returns arrays and numbers, compiled."""
    return njit(cache=CACHE is not None, nogil=True)(function)


@intrinsic
def _pointer(_context: Any, address: Any) -> Any:
    def to_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(address), to_pointer


@register_jitable
def array_at(address, shape, dtype):  # type: ignore[no-untyped-def]
    """In a compiled function: the array of that shape and type whose numbers begin at an address."""
    return carray(_pointer(address), shape, dtype)  # type: ignore[call-arg]  # (the first is the compiler's)
