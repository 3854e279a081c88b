"""The command `explain`: how a model predicts the next characters of a text, in the terminal or as one HTML page.

`source` reads what is explained, `trace` records how the engine answers, `decision` says why a suggestion ends where it
does, `terminal` prints. `page` makes the HTML page from the data in `panels`; `instrumented` is the
forward pass that keeps what it computes.
"""
