"""How it completes: decoding, where a suggestion ends, what is cut from it, and the Completer that editors speak to."""
