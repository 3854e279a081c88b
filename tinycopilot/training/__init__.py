"""Training: corpus, batches, optimizer and training loop. Independent of completion and editors."""
