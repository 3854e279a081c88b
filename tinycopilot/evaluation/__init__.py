"""How good it is, and why: measured on code, with the Engine that an editor uses."""
