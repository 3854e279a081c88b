"""`train --watch`: an HTML page that shows the network forming while it is trained.

`observer` decides when to record a step, stores the steps and writes the page; `watched_step` records the network's
outputs for fixed inputs at one step; `embedding_map` projects embeddings to 2D; `page` renders them.
"""
