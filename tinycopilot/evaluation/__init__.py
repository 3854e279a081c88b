"""Evaluate and benchmark completion on existing code, with the same Engine that editors use."""
