"""The language server: handlers, a session for the client, and the parts that answer it."""
