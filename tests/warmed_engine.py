"""Load all compiled functions on import, before preloaded.py forks."""

from tinycopilot import places
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.truncation import CompleterSettings

Engine.load(places.shipped_model(), CompleterSettings()).warm_up()
