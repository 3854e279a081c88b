"""Terminal UI: a small editor with ghost text, to try tinycopilot without setting up an editor."""
