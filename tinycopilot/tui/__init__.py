"""The engine in a terminal: an editor of one file with live ghost text, for a first taste without any other editor."""
