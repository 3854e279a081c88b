"""Evaluation and benchmarks of completion, on code, with the same Engine that editors use."""
