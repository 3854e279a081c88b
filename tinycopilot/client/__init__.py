"""A client of the installed language server, as an editor is one: the commands `demo` and `doctor`."""
