"""How good it is, and why: measured on code, with the very Completer that an editor asks."""
