"""Common prefixes and suffixes of two texts, and what is left of a suggestion after the user has typed part of it."""


def common_prefix_len(some: str, other: str) -> int:
    """Length of the longest common prefix, in characters. Bisection, with comparisons at C speed."""
    low, high = 0, min(len(some), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if some[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix_len(some: str, other: str) -> int:
    """Length of the longest common suffix, in characters."""
    low, high = 0, min(len(some), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if some[len(some) - middle : len(some) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def typed_through(suggestion: str, before_then: str, before_now: str) -> str | None:
    """The rest of a suggestion made after `before_then`, if only its first characters were typed since; otherwise None.

    `before_now` is the text before the cursor now. None, too, if the whole suggestion was typed.
    """
    n_typed = len(before_now) - len(before_then)
    if not 0 <= n_typed < len(suggestion) or before_now != before_then + suggestion[:n_typed]:
        return None
    return suggestion[n_typed:]
