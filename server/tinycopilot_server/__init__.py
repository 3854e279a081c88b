"""The language server: handlers that parse, ask and convert back; open documents, questions, and the model."""
