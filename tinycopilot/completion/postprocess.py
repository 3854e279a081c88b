"""What is cut from a suggestion before it is shown: what follows already, and what is indented otherwise."""

import re

CLOSERS = {")": "(", "]": "[", "}": "{"}
QUOTES = "'\""


def has_room(after: str) -> bool:
    """Whether a suggestion may stand here: at a line's end, or before nothing but closing brackets and the like."""
    rest_of_line = re.split(r"[\r\n]", after, maxsplit=1)[0]
    return re.fullmatch(r"\W*", rest_of_line) is not None


def postprocess(text: str, before: str, after: str) -> str:
    """`text` as far as it says something that does not stand after the cursor yet, indented as what stands before.

    Where more follows on the cursor's line, it is one line: others would come between brackets.
    """
    text = _without_next_line(_without_closer(text, after), before, after)
    if after.split("\n", maxsplit=1)[0].strip():
        text = text.split("\n", maxsplit=1)[0]
    return _without_other_indentation(text, before).rstrip()


def _without_closer(text: str, after: str) -> str:
    """Cut before the bracket or quote that closes what was opened before the cursor, if that is what comes next anyway.

    Editors write the closing one with the opening one: `print(|)` must not become `print(x))`.
    """
    following = after[:1]
    if following in QUOTES and following:
        return text.split(following, maxsplit=1)[0]
    open_brackets: list[str] = []
    for i, character in enumerate(text):
        if character in CLOSERS.values():
            open_brackets.append(character)
        elif character in CLOSERS:
            if not open_brackets and character == following:
                return text[:i]
            if open_brackets and open_brackets[-1] == CLOSERS[character]:
                open_brackets.pop()
    return text


def _without_next_line(text: str, before: str, after: str) -> str:
    """Cut before a line that is the next line of the file already."""
    following = next((line.strip() for line in after.split("\n")[1:] if line.strip()), None)
    if following is None:
        return text
    lines = text.split("\n")
    begun = before[before.rfind("\n") + 1 :]  # the part of the first line that is written already
    for i, line in enumerate(lines):
        whole = begun + line if i == 0 else line
        if whole.strip() == following:
            return "\n".join(lines[:i])
    return text


def _without_other_indentation(text: str, before: str) -> str:
    """Cut before a line that is indented with spaces where the last that is indented has a tab, or the reverse.

    The memory knows other files, too: what goes on as one of those does would mix both in a file.
    """
    if "\n " not in text and "\n\t" not in text:
        return text
    tab, space = (f"\n{before}".rfind(begin) for begin in ("\n\t", "\n "))
    if tab == space:  # neither
        return text
    return text.split("\n " if tab > space else "\n\t", maxsplit=1)[0]
