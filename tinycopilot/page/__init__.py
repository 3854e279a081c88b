"""What our HTML pages with a script share: frame, styles, script, arrays, and characters as a reader can see them.

A page is one file that loads nothing. Its folder has page.html.jinja, page.css and page.js, which extend and follow
frame.html.jinja, base.css and base.js.
"""
