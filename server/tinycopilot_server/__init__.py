"""The language server: documents, positions, settings, one worker, and handlers that parse, ask and convert back."""
