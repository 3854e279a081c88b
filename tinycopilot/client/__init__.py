"""The commands `demo` and `doctor`, which use the installed language server as an editor does; and `clean`."""
