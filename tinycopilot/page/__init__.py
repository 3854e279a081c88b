"""Shared parts of the interactive HTML pages: frame, styles, script, arrays, and names for invisible characters.

A page is one file that loads nothing. Its folder has page.html.jinja, page.css and page.js, which extend and follow
frame.html.jinja, base.css and base.js.
"""
