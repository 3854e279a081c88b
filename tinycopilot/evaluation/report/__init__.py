"""Evaluation report: one self-contained HTML page.

`page` renders the page; its parts are `passages` and `typed`, with the suggestions. `heat` colors code by surprisal.
"""
