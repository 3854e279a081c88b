"""paras/: the shipped model, and the manifest of how it was made."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from engine_requests import suggest

from tinycopilot.completion.engine import Engine
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.model.gpt import load_pair
from tinycopilot.paths import ModelPaths

ROOT = Path(__file__).resolve().parents[2]
PARAS = ROOT / "paras"
SHIPPED = ModelPaths(PARAS / "tiny_gpt.pth", PARAS / "tokenizer.pth")


def test_shipped_files_are_at_most_16_mb() -> None:
    assert sum(path.stat().st_size for path in PARAS.glob("t*.pth")) <= 16_000_000


def test_manifest_matches_the_files() -> None:
    manifest = json.loads((PARAS / "manifest.json").read_text("utf-8"))
    digests = {name: hashlib.sha256((PARAS / name).read_bytes()).hexdigest() for name in manifest["files"]}
    assert digests == manifest["files"]
    assert hashlib.sha256((ROOT / "corpus.txt").read_bytes()).hexdigest() == manifest["corpus"]["corpus.txt"]
    training = torch.load(SHIPPED.model, weights_only=True)["training"]
    assert training == manifest["training"]
    assert {"seed", "torch", "python", "held_out_bits", "seconds"} <= set(training)
    assert all(stage["command"].startswith("tinycopilot train") for stage in manifest["stages"])
    assert len(manifest["corpus"]["all_documents"]) == 64
    assert manifest["corpus"]["all_documents"] == training["corpus_sha256"]
    assert {"corpus.txt", "stdlib"} <= set(manifest["corpus"]["licenses"])


def test_shipped_model_predicts_python() -> None:
    """This file is not in its training text, but costs far less than the 6.6 bits of a uniform prediction."""
    from tinycopilot.model.tokenizer import DOCUMENT_START
    from tinycopilot.training.metrics import bits_per_char

    model, tokenizer = load_pair(SHIPPED.model, SHIPPED.tokenizer)
    ids = torch.tensor(tokenizer.encode(DOCUMENT_START + Path(__file__).read_text("utf-8")))
    assert bits_per_char(model, ids) < 2.5


@pytest.mark.parametrize(
    ("before", "expected"),
    [("def area(self):\n    raise NotImpl", "ementedError"), ("import os\nfrom pathlib im", "port")],
)
def test_shipped_model_completes_common_code(before: str, expected: str) -> None:
    suggestion = suggest(Engine.load(SHIPPED, CompleterSettings()), before)
    assert suggestion is not None
    assert suggestion.text == expected


def test_demo_program_is_not_in_the_training_text() -> None:
    from tinycopilot.client.demo import OPENED, TYPED

    corpus = (ROOT / "corpus.txt").read_text("utf-8")
    compile(OPENED + TYPED, "thermometer.py", "exec")
    n_chars = 100  # the idiom at the end of a script may occur in both
    assert [TYPED[i : i + n_chars] for i in range(len(TYPED) - n_chars) if TYPED[i : i + n_chars] in corpus] == []
