"""Read config and weights from a model file, and check them. Imports no PyTorch."""

import reprlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinycopilot.model.config import GPTConfig
from tinycopilot.model.storage import ModelFileError, load_data
from tinycopilot.model.storage.limits import MAX_PARAMETERS, config_from_data
from tinycopilot.model.tokenizer import SimpleTokenizer

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
    except TypeError:
        raise ModelFileError(f"{path}: invalid model: unknown config") from None
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
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise ModelFileError(f"{path}: damaged: {name} contains NaN or infinity; train again")
    return config, weights
