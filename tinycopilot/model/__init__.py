"""The network: tokenizer, attention, blocks, cache, GPT. Importing this package imports no PyTorch.

The letters in shapes, throughout: B batch, T new positions, S positions held (cached + T), H heads, D a head's width,
C = H * D the model's width, V vocabulary, W the window: how many positions, itself included, one position sees.
"""
