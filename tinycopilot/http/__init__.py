"""An HTTP endpoint for editors without LSP's inline completion, in the format of OpenAI's completions API.

Runs only on request (`tinycopilot serve --http PORT`), on 127.0.0.1, for requests with the right token. The language
server does not import this package.
"""
