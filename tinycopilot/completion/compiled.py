"""Loops over numbers, compiled to machine code when they are first called (by Numba); other threads run meanwhile.

What was compiled is kept on disk, beside the source or in the user's cache folder. A constant of another file is no
part of what it is kept under: give a compiled function such a value as an argument.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which takes and returns arrays and numbers, compiled."""
    with contextlib.suppress(RuntimeError):  # there may be no place on disk that can be written
        return njit(cache=True, nogil=True)(function)
    return njit(nogil=True)(function)
