"""How quickly characters are decoded: ours beside transformers' cached `generate`, and beside reading all again.

    python benchmarks/decode_vs_peers.py [--transformers FOLDER] [--rounds 20]

The same weights for all: those of the model that ships, without its convolutions, which is a GPT-NeoX. One thread,
greedy, N_CHARS after N_PROMPT characters of code, one way after the other in each round:

- transformers: GPTNeoXForCausalLM.generate with its cache;
- cached: ours, the network alone; its text must be that of transformers;
- window: the original project's way, the whole window again for each character; the same text;
- drafted: ours as the product has it, with the memory of a workspace (the rest of that package, and much else), which
  drafts: other text, and more work.

transformers is fetched by pip into FOLDER, or into a folder of its own, and is no part of this project. Prints a table
and one JSON line.
"""

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from tinycopilot import places
from tinycopilot.completion.decoding import MAX_DRAFT_CHARS, Reader, decode
from tinycopilot.completion.network import Network
from tinycopilot.completion.predictor import Place, PredictionCache, Predictor
from tinycopilot.insight.workbench import hold_workspace, texts_to_type
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

N_PROMPT, N_CHARS = 120, 100
"""Together less than a window, over which transformers would look."""
WORKSPACE_CHARS = 3_000_000
PEERS = Path(tempfile.gettempdir()) / "tinycopilot-transformers"
TIMES_QUICKER, TIMES_WINDOW = 4.0, 40.0
"""The bars: drafted must be so many times as quick as transformers, and as reading the window again."""


def neox(model: TinyGPT) -> Any:
    """transformers' network with the weights of ours."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM  # type: ignore[import-not-found]  # noqa: PLC0415

    c = model.config
    config = GPTNeoXConfig(
        vocab_size=c.vocab_size, hidden_size=c.d_model, num_hidden_layers=c.n_layers, num_attention_heads=c.n_heads,
        intermediate_size=4 * c.d_model, hidden_act="gelu", rotary_pct=1.0, max_position_embeddings=c.window,
        layer_norm_eps=1e-5, use_parallel_residual=False, tie_word_embeddings=False, attention_bias=True,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    peer = GPTNeoXForCausalLM(config).eval()
    state = {name: torch.zeros_like(value) for name, value in peer.state_dict().items()}
    state |= {"gpt_neox.embed_in.weight": model.embedding.weight, _head_of(state): model.head.weight}
    state |= {f"gpt_neox.final_layer_norm.{name}": value for name, value in model.ln.state_dict().items()}
    for i, block in enumerate(model.decoder_blocks()):
        layer = f"gpt_neox.layers.{i}."
        qkv = block.attn.qkv.weight.view(3, c.n_heads, c.d_head, c.d_model).transpose(0, 1)  # theirs: head by head
        state |= {
            layer + "attention.query_key_value.weight": qkv.reshape(3 * c.d_model, c.d_model),
            layer + "attention.dense.weight": block.attn.o_proj.weight,
            layer + "mlp.dense_h_to_4h.weight": block.ffn.up.weight,
            layer + "mlp.dense_4h_to_h.weight": block.ffn.down.weight,
            **{f"{layer}input_layernorm.{name}": value for name, value in block.ln1.state_dict().items()},
            **{f"{layer}post_attention_layernorm.{name}": value for name, value in block.ln2.state_dict().items()},
        }
    peer.load_state_dict(state)
    return peer


def _head_of(state: dict[str, Any]) -> str:
    """Its name differs between versions."""
    return next(name for name in ("embed_out.weight", "lm_head.weight") if name in state)


def without_convolutions(model: TinyGPT) -> TinyGPT:
    """The same weights, where they are those of a GPT-NeoX."""
    plain = TinyGPT(dataclasses.replace(model.config, conv_width=1))
    plain.load_state_dict({name: value for name, value in model.state_dict().items() if not name.endswith("taps")})
    return plain.requires_grad_(False).eval()


class Race:
    """One text, continued in each way."""

    def __init__(self, model: TinyGPT, tokenizer: SimpleTokenizer, texts: dict[str, str]) -> None:
        self.texts = texts
        self.model, self.tokenizer, self.peer = model, tokenizer, neox(model)
        weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
        self.network = Network.from_weights(model.config, weights, int8=False)
        self.alone, self.predictor = Predictor(tokenizer.alphabet), Predictor(tokenizer.alphabet)
        hold_workspace(self.predictor.ngrams, WORKSPACE_CHARS)
        for name, text in texts.items():
            self.predictor.ngrams.hold(name, text)
        self.predictor.ngrams.compact()
        self.ways: dict[str, Callable[[str], str]] = {
            "transformers": self.transformers, "cached": self.cached, "window": self.window, "drafted": self.drafted
        }  # fmt: skip

    def transformers(self, text: str) -> str:
        """The unknown, which ours never says, is suppressed."""
        ids = torch.tensor([self.tokenizer.encode(DOCUMENT_START + text)])
        unknown = [self.tokenizer.vocab_size - 1]
        said = self.peer.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=N_CHARS, min_new_tokens=N_CHARS, do_sample=False,
            suppress_tokens=unknown, pad_token_id=0,
        )  # fmt: skip
        return self.tokenizer.decode(said[0, ids.size(1) :].tolist())

    def cached(self, text: str) -> str:
        """A cold cache, as theirs."""
        return self.continued(self.alone, Place(None, text, ""), 0)

    @torch.inference_mode()
    def window(self, text: str) -> str:
        """Everything that is visible, for each character."""
        start = len(text)
        for _ in range(N_CHARS):
            ids = self.tokenizer.encode(DOCUMENT_START + text)[-self.model.config.window :]
            text += self.tokenizer.alphabet[int(self.model(torch.tensor([ids]))[0, -1, :-1].argmax())]
        return text[start:]

    def drafted(self, text: str) -> str:
        """The document is held first, as the engine does."""
        self.predictor.ngrams.hold("here", text, "")
        return self.continued(self.predictor, Place("here", text, ""), MAX_DRAFT_CHARS)

    def continued(self, predictor: Predictor, place: Place, max_draft_chars: int) -> str:
        """By a cold cache."""
        continuation = predictor.continuation(PredictionCache(place), place.before)
        reader = Reader(self.network, self.tokenizer)
        decoded = decode(reader, continuation, place.before, max_draft_chars=max_draft_chars)
        return "".join(character for character, _ in islice(decoded, N_CHARS))

    def run(self, prompts: list[tuple[str, str]]) -> tuple[dict[str, float], int]:
        """Characters a second, each way; and how often the three that should say the same did not."""
        seconds, n_unequal = dict.fromkeys(self.ways, 0.0), 0
        for way in self.ways.values():
            way(prompts[0][1])  # what is slow the first time
        for of_file, prompt in prompts:
            self.predictor.ngrams.drop(of_file)
            said = {}
            for name, way in self.ways.items():
                since = time.perf_counter()
                said[name] = way(prompt)
                seconds[name] += time.perf_counter() - since
            self.predictor.ngrams.hold(of_file, self.texts[of_file])
            n_unequal += len({said[name] for name in ("transformers", "cached", "window")}) > 1
        return {name: len(prompts) * N_CHARS / s for name, s in seconds.items()}, n_unequal


def prompts(texts: dict[str, str], n: int) -> list[tuple[str, str]]:
    """Names, and code in the middle of those files, which was never learned from, N_PROMPT characters at a time."""
    names = (list(texts) * n)[:n]
    return [(name, texts[name][len(texts[name]) // 2 :][:N_PROMPT]) for name in names]


def fetch(folder: Path) -> None:
    """Have transformers importable. Exits where it cannot be had."""
    if not (folder / "transformers").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "transformers"]
        if subprocess.run(command, check=False).returncode:
            sys.exit("decode_vs_peers: transformers cannot be had; name a folder that has it with --transformers")
    sys.path.append(str(folder))  # after what this project uses itself


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transformers", type=Path, default=PEERS, metavar="FOLDER", help="where it is, or will be")
    parser.add_argument("--rounds", type=int, default=20, help="texts that are continued (default: 20)")
    arguments = parser.parse_args()
    fetch(arguments.transformers)
    torch.set_num_threads(1)
    paths = places.to_load(None, None)
    model, tokenizer = load_pair(paths.model, paths.tokenizer)
    texts = texts_to_type(None)
    race = Race(without_convolutions(model), tokenizer, texts)
    per_second, n_unequal = race.run(prompts(texts, arguments.rounds))
    for name, chars in per_second.items():
        print(f"{name:14}{chars:10,.0f} characters a second")
    times = {name: round(per_second["drafted"] / per_second[name], 2) for name in ("transformers", "cached", "window")}
    print(f"drafted is so many times as quick: {times}; texts that differ and should not: {n_unequal}")
    bars = {"transformers": TIMES_QUICKER, "window": TIMES_WINDOW}
    met = {name: times[name] >= bar for name, bar in bars.items()}
    facts = {"processor": platform.processor() or platform.machine(), "rounds": arguments.rounds}
    print(json.dumps({"chars_per_second": per_second, "times": times, "met": met, "unequal": n_unequal, **facts}))


if __name__ == "__main__":
    main()
