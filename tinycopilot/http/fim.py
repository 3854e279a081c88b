"""Fill-in-the-middle prompts: the markers of several models, and the text on both sides of the cursor.

Some clients send these instead of `prompt` and `suffix`.
"""

from typing import Final

MARKERS: Final = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    ("<PRE> ", " <SUF>", " <MID>"),  # Code Llama
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
    (
        "<\N{FULLWIDTH VERTICAL LINE}fim\N{LOWER ONE EIGHTH BLOCK}begin\N{FULLWIDTH VERTICAL LINE}>",  # DeepSeek
        "<\N{FULLWIDTH VERTICAL LINE}fim\N{LOWER ONE EIGHTH BLOCK}hole\N{FULLWIDTH VERTICAL LINE}>",
        "<\N{FULLWIDTH VERTICAL LINE}fim\N{LOWER ONE EIGHTH BLOCK}end\N{FULLWIDTH VERTICAL LINE}>",
    ),
)
"""Tokens before the prefix, between prefix and suffix, and after the suffix."""


def sides_of(prompt: str) -> tuple[str, str] | None:
    """Return the text before and after the cursor; None if the prompt is not a fill-in-the-middle prompt."""
    for prefix, suffix, middle in MARKERS:
        if prompt.startswith(prefix) and prompt.endswith(middle) and prompt.count(suffix) == 1:
            before, _, after = prompt[len(prefix) : -len(middle)].partition(suffix)
            return before, after
    return None
