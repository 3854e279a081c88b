"""`train --watch`: an HTML page that shows the network forming while it is trained.

`observer` decides when to look, and writes the page; `inputs` are what the network is always asked; `watched_step` is
what it does with them at one step; `embedding_map` puts characters on a plane; `history` bounds and stores the steps;
`page` renders.
"""
