"""Loads all compiled loops when it is imported, so that no process that is forked afterwards has to (preloaded.py)."""

from tinycopilot import places
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.truncation import CompleterSettings

Engine.load(places.shipped_model(), CompleterSettings()).warm_up()
