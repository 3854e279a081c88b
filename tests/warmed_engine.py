"""Loads all compiled loops when it is imported, so that no process that is forked afterwards has to (preloaded.py)."""

from tinycopilot.completion.engine import Engine
from tinycopilot.completion.truncation import CompleterSettings
from tinycopilot.paths import bundled_model

Engine.load(bundled_model(), CompleterSettings()).warm_up()
