"""The `explain` command: how a model predicts the next characters of a text, in the terminal or as one HTML page.

`run` is the command, `trace` records how the engine answers, `decision` describes why a suggestion ends where it does,
`terminal` prints. `page` makes the HTML page from the data in `panels`; `instrumented` is a forward pass that returns
all activations.
"""
