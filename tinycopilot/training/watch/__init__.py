"""`train --watch`: an HTML page that shows the network forming while it is trained.

`observer` decides when to record a step, and writes the page; `inputs` has the fixed inputs; `watched_step` records the
network's outputs for them at one step; `embedding_map` projects embeddings to 2D; `history` limits and stores the
steps; `page` renders them.
"""
