"""Decide which files may be read (hand-written text that git would track, but never secrets), and read them."""
