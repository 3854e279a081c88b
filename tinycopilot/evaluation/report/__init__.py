"""Evaluation report: one self-contained HTML page.

`page` writes the page; its parts are `figures`, `passages` and `typed`, with the suggestions. `heat` colors code by
surprisal.
"""
