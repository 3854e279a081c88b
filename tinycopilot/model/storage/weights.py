"""Read config and weights from a model file, and check them, before a network is created. Imports no PyTorch."""

import dataclasses
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycopilot.model.config import SPARE, GPTConfig
from tinycopilot.model.storage import ModelFileError, load_data
from tinycopilot.model.tokenizer import SimpleTokenizer

MAX_PARAMETERS = 100_000_000
"""Four times the largest size that can be trained here."""
MAX_VALUES = {"n_layers": 1_000, "window": 4_096}
"""Limits of what takes memory or time beyond the parameters: cache and attention grow with the window."""
MAX_MODEL_BYTES = 4 * MAX_PARAMETERS + 16_000_000


def read_weights(
    path: Path, tokenizer: SimpleTokenizer | None = None
) -> tuple[GPTConfig, dict[str, NDArray[np.float32]]]:
    """Return the config, and the weights by the names of `GPTConfig.weight_shapes`, all finite.

    Raises ModelFileError, also if the model was not trained with `tokenizer`, where one is given.
    """
    required = {"config": dict, "tokenizer_digest": str, "weights": dict}
    data = load_data(path, "model", required, max_bytes=MAX_MODEL_BYTES)
    if tokenizer is not None and data["tokenizer_digest"] != tokenizer.digest:
        raise ModelFileError(
            f"{path}: the tokenizer does not match this model; give both files from one training run "
            "(--model-path and --tokenizer-path)"
        )
    try:
        config = config_from_data(data["config"])
    except ValueError as error:
        raise ModelFileError(f"{path}: invalid model: {error}") from None
    if tokenizer is not None and config.vocab_size != tokenizer.vocab_size:
        raise ModelFileError(f"{path}: the model has {config.vocab_size} ids, its tokenizer {tokenizer.vocab_size}")
    weights, expected = data["weights"], config.weight_shapes()
    if foreign := expected.keys() ^ weights.keys():
        some = ", ".join(sorted(reprlib.repr(name).strip("'") for name in foreign)[:3])
        raise ModelFileError(f"{path}: damaged: missing or unknown weights: {some}")
    for name, shape in expected.items():
        weight = weights[name]
        is_tensor = isinstance(weight, np.ndarray) and weight.flags.c_contiguous
        if not is_tensor or weight.shape != shape or weight.dtype != np.float32:
            raise ModelFileError(f"{path}: damaged: {name} is not float32 of shape {shape}")
        if not np.isfinite(weight).all():
            raise ModelFileError(f"{path}: damaged: {name} contains NaN or infinity; train again")
    return config, weights


def config_from_data(data: Mapping[str, Any]) -> GPTConfig:
    """Return the GPTConfig stored as `data`. Raises ValueError if it is invalid or too large."""
    if not {"vocab_size"} <= data.keys() <= {field.name for field in dataclasses.fields(GPTConfig)}:
        raise ValueError("unknown config")
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
