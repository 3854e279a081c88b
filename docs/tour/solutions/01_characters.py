"""Solution 1: turn text into ids."""


def encode(text: str, alphabet: str) -> list[int]:
    """Return one id per character: its index in `alphabet`, or len(alphabet) if it is not there."""
    id_of = {character: i for i, character in enumerate(alphabet)}
    return [id_of.get(character, len(alphabet)) for character in text]
