"""Limits on what a model file may claim, checked before a network is created."""

import dataclasses
import reprlib
from collections.abc import Mapping
from typing import Any

from tinycopilot.model.config import SPARE, GPTConfig

MAX_PARAMETERS = 100_000_000
"""Four times the largest size that can be trained here."""
MAX_VALUES = {"n_layers": 1_000, "window": 4_096}
"""Limits of what takes memory or time beyond the parameters: cache and attention grow with the window."""


def config_from_data(data: Mapping[str, Any]) -> GPTConfig:
    """Return the GPTConfig stored as `data`. Raises ValueError or TypeError if it is invalid or too large."""
    if not data.keys() <= {field.name for field in dataclasses.fields(GPTConfig)}:
        raise TypeError("unknown fields")
    for name, value in data.items():
        most = MAX_VALUES.get(name, 1_000_000)
        if type(value) is not int or not 1 <= value <= most:
            raise ValueError(f"{name} must be a whole number from 1 to {most:,}, not {reprlib.repr(value)}")
    config = GPTConfig(**data)
    if config.n_parameters > MAX_PARAMETERS:
        raise ValueError(f"{config.n_parameters:,} parameters are too many")
    if n_cached_values(config) > MAX_PARAMETERS:
        raise ValueError(f"{n_cached_values(config):,} values in its key-value cache are too many")
    return config


def n_cached_values(config: GPTConfig) -> int:
    """Return the approximate size of the compiled network's cache: keys, values, and the convolutions' inputs."""
    n_rows = 2 * config.window + SPARE
    return config.n_layers * config.d_model * n_rows * (4 if config.conv_width > 1 else 2)
