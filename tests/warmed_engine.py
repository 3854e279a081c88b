"""Loads all compiled functions when imported, before preloaded.py forks."""

from tinycopilot.completion.engine import Engine
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.paths import bundled_model

Engine.load(bundled_model(), CompleterSettings()).warm_up()
