"""What the network is: tokenizer, attention, blocks, cache, GPT. Imports PyTorch alone, knows no file but its own two.

The letters in shapes, throughout: B batch, T new positions, S positions held (cached + T), H heads, D a head's width,
C = H * D the model's width, V vocabulary, W the window: how many positions, itself included, one position sees.
"""
