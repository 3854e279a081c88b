"""Shared parts of the HTML pages: frame, styles, script, charts, arrays, and names for invisible characters.

A page is one file that loads nothing. Its folder has page.html.jinja, page.css and, if it has a script, page.js, which
extend and follow frame.html.jinja, base.css and base.js.
"""
