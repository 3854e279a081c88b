"""Training report: one self-contained HTML page, without scripts, fonts or network access.

`page` renders the page, `curves` draws the charts.
"""
