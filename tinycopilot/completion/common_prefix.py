"""How much two texts have in common, at either end."""


def common_prefix_len(some: str, other: str) -> int:
    """With how many characters both begin; by bisection, each step of which compares at C's speed."""
    low, high = 0, min(len(some), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if some[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix_len(some: str, other: str) -> int:
    """With how many both end."""
    low, high = 0, min(len(some), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if some[len(some) - middle : len(some) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
