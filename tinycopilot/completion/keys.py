"""Keys: which character was typed, told from the texts on both sides of the cursor, one look after another."""


class Keys:
    """Sees a document again and again, and says what was typed where nothing was typed before.

    Only what is typed counts, and each position once: neither a paste, nor an accepted suggestion, nor what is taken
    back and comes again, nor what is typed anew after a backspace. Whoever turns to another place or document begins
    there afresh.
    """

    def __init__(self) -> None:
        self._last = ("", "", "")
        self._furthest_chars = 0  # up to here all has been counted, or was there

    def typed(self, document: str, before: str, after: str) -> str:
        """The character that was typed since the last look and counts; "" if there is none."""
        (last_document, last_before, last_after), self._last = self._last, (document, before, after)
        if (document, after) != (last_document, last_after):
            self._furthest_chars = len(before)
            return ""
        is_one_more = len(before) == len(last_before) + 1 and before.startswith(last_before)
        is_new = len(before) > self._furthest_chars
        self._furthest_chars = max(self._furthest_chars, len(before))
        return before[-1] if is_one_more and is_new else ""
