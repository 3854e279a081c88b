"""Training report: one self-contained HTML page, without scripts, fonts or network access.

`page` renders the page, `curves` chooses what is plotted.
"""
