"""Run an exercise's check, and say right or wrong in one line."""

import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np


class WrongError(Exception):
    """The answer is wrong; the text is a hint."""


def require(is_right: object, hint: str) -> None:
    """Raise WrongError with this hint unless `is_right`."""
    if not is_right:
        raise WrongError(hint)


def close(answer: Any, expected: Any) -> bool:
    """Whether two arrays have the same shape and, up to rounding, the same numbers."""
    answer, expected = np.asarray(answer), np.asarray(expected)
    return answer.shape == expected.shape and np.allclose(answer, expected, atol=1e-4)


def _returning(answer: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        result = answer(*arguments)
        require(result is not None, f"`{answer.__name__}` returned None: return the result")
        return result

    return call


def verdict(check: Callable[..., None], *answers: Callable[..., Any]) -> str:
    """Return "right", or "wrong: " and a hint."""
    try:
        check(*map(_returning, answers))
    except NotImplementedError as error:
        name = traceback.extract_tb(error.__traceback__)[-1].name
        return f"wrong: not filled in yet: in `{name}`, replace the line `raise NotImplementedError` with your code"
    except WrongError as error:
        return f"wrong: {error}"
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        return f"wrong: {type(error).__name__} on line {line}: {' '.join(str(error).split())}"
    return "right"


def run(check: Callable[..., None], *answers: Callable[..., Any]) -> None:
    """Print the verdict; exit with 0 if it is right."""
    result = verdict(check, *answers)
    print(result)
    sys.exit(result != "right")
