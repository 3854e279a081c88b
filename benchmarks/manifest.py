"""Store the bundled model's weights in bfloat16, and write paras/manifest.json: its provenance and its figures."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "benchmarks" / "model_data.json"


def sha256(path: Path) -> str:
    """SHA-256 digest in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def licenses() -> dict[str, str]:
    """License of each source by name: trained on, not included."""
    sources = json.loads(DATA.read_text("utf-8"))["sources"]
    named = {source["name"]: f"{source['license']} (version {source['version']})" for source in sources}
    return {"corpus.txt": "MIT, written for this project"} | named


def write_manifest(stages: Sequence[Mapping[str, Any]]) -> None:
    """Halve the size of the weights in paras/, measure, and write paras/manifest.json.

    `stages`: the training commands, in order, each but the first started from the weights of the one before, and the
    shares of the new weights in the average of both. The packages of heldout.json are fetched by pip.
    """
    paras = ROOT / "paras"
    model = torch.load(paras / "tiny_gpt.pth", weights_only=True)
    model["weights"] = {name: weight.bfloat16() for name, weight in model["weights"].items()}
    torch.save(model, paras / "tiny_gpt.pth")
    pair = ["--model_path", str(paras / "tiny_gpt.pth"), "--tokenizer_path", str(paras / "tokenizer.pth")]
    benchmark = [sys.executable, str(ROOT / "benchmarks" / "heldout_bits.py"), *pair]
    measured = subprocess.run(benchmark, check=True, capture_output=True, text=True).stdout
    manifest = {
        "stages": list(stages),
        "files": {name: sha256(paras / name) for name in ("tiny_gpt.pth", "tokenizer.pth")},
        "corpus": {
            "corpus.txt": sha256(ROOT / "corpus.txt"),
            "model_data.json": sha256(DATA),
            "all_documents": model["training"]["corpus_sha256"],
            "licenses": licenses(),
        },
        "config": model["config"],
        "training": model["training"],
        "heldout": json.loads(measured.splitlines()[-1]),
    }
    (paras / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
