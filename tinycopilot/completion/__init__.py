"""Completion: the engine, with decoding, n-gram models, truncation and post-processing."""
