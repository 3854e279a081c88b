"""The `demo` and `doctor` commands, which use the installed language server as an editor does; and `clean`."""
