"""Decoding speed compared with transformers, llama.cpp and ONNX Runtime, with the same weights.

    python benchmarks/decode_vs_peers.py [--peers FOLDER] [--rounds 20]

The weights are those of the bundled model without its convolutions, which is a GPT-NeoX. float32, one thread, greedy,
N_CHARS after N_PROMPT characters of code, with a cold cache, interleaved in each round:

- transformers, llama.cpp, ONNX Runtime: see decode_peers.py; one character at a time;
- cached: our network alone, one character at a time; the same text;
- window: the original project's way, the whole window again for each character; the same text;
- drafted: ours as in the product, with drafts by the n-gram models of a workspace (the rest of that package, and
  more): other text, and more work.

The peers are fetched by pip into FOLDER, or a temporary folder, and are not part of this project; missing ones are
listed and skipped. Prints a table and one JSON line.
"""

import argparse
import dataclasses
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from decode_peers import PACKAGES, PEERS, Peer

from tinycopilot.completion.decoding import MAX_DRAFT_CHARS, Reader, decode_steps
from tinycopilot.completion.network import Network
from tinycopilot.completion.predictor import Continuation, Place, PredictionCache, Predictor
from tinycopilot.evaluation.scenarios import index_stdlib, load_typing_texts
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.paths import find_model

N_PROMPT, N_CHARS = 120, 100
"""Less than a window in total, since transformers would attend beyond it."""
WORKSPACE_CHARS = 3_000_000
FOLDER = Path(tempfile.gettempdir()) / "tinycopilot-peers"
BARS = {"transformers": 10.0, "llama.cpp": 1.0, "ONNX Runtime": 1.0}
"""Target: cached is at least this many times as fast as each peer."""


def without_convolutions(model: TinyGPT) -> TinyGPT:
    """The same weights without convolutions, as in a GPT-NeoX."""
    plain = TinyGPT(dataclasses.replace(model.config, conv_width=1))
    plain.load_state_dict({name: value for name, value in model.state_dict().items() if not name.endswith("taps")})
    return plain.requires_grad_(False).eval()


class Race:
    """One text, continued in each way."""

    def __init__(self, model: TinyGPT, tokenizer: SimpleTokenizer, texts: dict[str, str]) -> None:
        self.texts = texts
        self.model, self.tokenizer = model, tokenizer
        self.missing = dict[str, str]()
        weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
        self.network = Network(model.config, weights, int8=False)
        self.alone, self.predictor = Predictor(tokenizer.alphabet), Predictor(tokenizer.alphabet)
        index_stdlib(self.predictor.ngrams, WORKSPACE_CHARS)
        for name, text in texts.items():
            self.predictor.ngrams.hold(name, text)
        self.predictor.ngrams.compact()
        self.ways: dict[str, Callable[[str], str]] = {}
        for name, peer in PEERS.items():
            try:
                self.ways[name] = partial(self.by_peer, peer(model, tokenizer))
            except ImportError as error:
                self.missing[name] = str(error)
        self.ways |= {"cached": self.cached, "window": self.window, "drafted": self.drafted}

    def by_peer(self, peer: Peer, text: str) -> str:
        """Maps the text's ids to the continuation, by peer."""
        return self.tokenizer.decode(peer.continue_ids(self.tokenizer.encode(DOCUMENT_START + text), N_CHARS))

    def cached(self, text: str) -> str:
        """With a cold cache, as the peers have."""
        return self.continued(self.alone, Place(None, text, ""), 0)

    @torch.inference_mode()
    def window(self, text: str) -> str:
        """Reads the whole window for each character."""
        start = len(text)
        for _ in range(N_CHARS):
            ids = self.tokenizer.encode(DOCUMENT_START + text)[-self.model.config.window :]
            text += self.tokenizer.alphabet[int(self.model(torch.tensor([ids]))[0, -1, :-1].argmax())]
        return text[start:]

    def drafted(self, text: str) -> str:
        """Indexes the document first, as the engine does."""
        self.predictor.ngrams.hold("here", text, "")
        return self.continued(self.predictor, Place("here", text, ""), MAX_DRAFT_CHARS)

    def continued(self, predictor: Predictor, place: Place, max_draft_chars: int) -> str:
        """With a cold cache."""
        continuation = Continuation(predictor, PredictionCache(place), place.before)
        reader = Reader(self.network, self.tokenizer)
        steps = decode_steps(reader, continuation, place.before, max_draft_chars=max_draft_chars)
        decoded = (one for step in steps for one in step.accepted)
        return "".join(character for character, _ in islice(decoded, N_CHARS))

    def run(self, prompts: list[tuple[str, str]]) -> tuple[dict[str, float], dict[str, int]]:
        """Characters per second of each way, by median time; and the number of texts that differ from `cached`."""
        seconds, n_unequal = {name: list[float]() for name in self.ways}, dict.fromkeys(self.ways, 0)
        for way in self.ways.values():
            way(prompts[0][1])  # warm up
        for of_file, prompt in prompts:
            self.predictor.ngrams.drop(of_file)
            said = {}
            for name, way in self.ways.items():
                since = time.perf_counter()
                said[name] = way(prompt)
                seconds[name].append(time.perf_counter() - since)
            self.predictor.ngrams.hold(of_file, self.texts[of_file])
            for name, text in said.items():
                n_unequal[name] += text != said["cached"]
        return {name: N_CHARS / statistics.median(each) for name, each in seconds.items()}, n_unequal


def prompts(texts: dict[str, str], n: int) -> list[tuple[str, str]]:
    """Names, and N_PROMPT characters of code from the middle of held-out files."""
    names = (list(texts) * n)[:n]
    return [(name, texts[name][len(texts[name]) // 2 :][:N_PROMPT]) for name in names]


def fetch(folder: Path) -> None:
    """Install those peers that pip can install, and make them importable."""
    for package in PACKAGES:
        if not (folder / package).is_dir():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target"]
            subprocess.run([*command, str(folder), package], check=False)
    sys.path.append(str(folder))  # after this project's own packages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=FOLDER, metavar="FOLDER", help="folder (installed if missing)")
    parser.add_argument("--rounds", type=int, default=20, help="number of texts (default: 20)")
    arguments = parser.parse_args()
    fetch(arguments.peers)
    torch.set_num_threads(1)
    paths, _ = find_model(None, None)
    model, tokenizer = load_pair(paths.model, paths.tokenizer)
    race = Race(without_convolutions(model), tokenizer, load_typing_texts(None))
    per_second, n_unequal = race.run(prompts(race.texts, arguments.rounds))
    print(f"{'':14}{'characters/s':>20}{'cached speed-up':>20}{'other texts':>14}")
    times = {name: round(per_second["cached"] / chars, 2) for name, chars in per_second.items()}
    for name, chars in per_second.items():
        print(f"{name:14}{chars:20,.0f}{times[name]:20.2f}{n_unequal[name]:14}")
    for name, why in race.missing.items():
        print(f"{name:14}absent: {why}")
    met = {name: times[name] >= bar for name, bar in BARS.items() if name in times}
    facts = {"processor": platform.processor() or platform.machine(), "rounds": arguments.rounds}
    print(
        json.dumps(
            {
                "chars_per_second": {name: round(chars) for name, chars in per_second.items()},
                "times": times,
                "met": met,
                "unequal": n_unequal,
                **facts,
            }
        )
    )


if __name__ == "__main__":
    main()
