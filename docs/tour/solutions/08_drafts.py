"""Solution 8: verify a draft."""


def verified(drafted: str, likeliest: str) -> str:
    """Return the text that is certain after one forward pass."""
    n_right = 0
    while n_right < len(drafted) and drafted[n_right] == likeliest[n_right]:
        n_right += 1
    return likeliest[: n_right + 1]
