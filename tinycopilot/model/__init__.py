"""The network in PyTorch, its tokenizer and its files.

Read in this order: config, tokenizer, attention, convolution, block, gpt, cache. storage/ reads and writes files, and
checks files of unknown origin. Importing this package imports no PyTorch.

Letters in shapes, throughout: B batch, T new positions, S cached + new positions, H heads, D head width, C = H * D
model width, V vocabulary, W window (the number of positions that one position attends to, itself included).
"""
