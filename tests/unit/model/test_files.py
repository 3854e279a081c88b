"""The two files of a model: round trips, and the error for each invalid file."""

import os
import pickle
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tinycopilot.model.gpt import GPTConfig, TinyGPT, load_pair
from tinycopilot.model.storage import ModelFileError
from tinycopilot.model.storage.writing import save_atomically
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths


def test_save_and_load_give_equal_logits(pair: ModelPaths, tokenizer: SimpleTokenizer, tmp_path: Path) -> None:
    model, loaded_tokenizer = load_pair(pair.model, pair.tokenizer)
    assert loaded_tokenizer.alphabet == tokenizer.alphabet
    model.save(tmp_path / "again.pth", tokenizer)
    again = TinyGPT.load(tmp_path / "again.pth", tokenizer)
    ids = torch.randint(tokenizer.vocab_size, (1, 30))
    assert torch.equal(model(ids), again(ids))
    assert not any(p.requires_grad for p in again.parameters())


def test_bfloat16_weights_are_read(pair: ModelPaths, tokenizer: SimpleTokenizer) -> None:
    data = torch.load(pair.model, weights_only=True)
    halves = {name: weight.bfloat16() for name, weight in data["weights"].items()}
    rewritten(pair.model, weights=halves)
    loaded = TinyGPT.load(pair.model, tokenizer).state_dict()
    assert all(torch.equal(loaded[name], weight.float()) for name, weight in halves.items())


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch EXPLODED",)


def rewritten(path: Path, **changes: object) -> None:
    data = torch.load(path, weights_only=True)
    torch.save({**data, **changes}, path)


def break_missing(p: ModelPaths) -> None:
    p.model.unlink()


def break_empty(p: ModelPaths) -> None:
    p.model.write_bytes(b"")


def break_truncated(p: ModelPaths) -> None:
    p.model.write_bytes(p.model.read_bytes()[:2000])


def break_text(p: ModelPaths) -> None:
    p.model.write_text("this is not a model")


def break_other_kind(p: ModelPaths) -> None:
    p.model.write_bytes(p.tokenizer.read_bytes())


def break_other_zip(p: ModelPaths) -> None:
    torch.save([1, 2, 3], p.model)


def break_pickle(p: ModelPaths) -> None:
    p.model.write_bytes(pickle.dumps(Bomb()))


def break_torch_pickle(p: ModelPaths) -> None:
    torch.save({"kind": "model", "weights": Bomb()}, p.model)


def break_sizes(p: ModelPaths) -> None:
    rewritten(
        p.model, config={"vocab_size": 999_999, "n_layers": 900_000, "n_heads": 1, "d_model": 900_000, "window": 9}
    )


def break_negative(p: ModelPaths) -> None:
    rewritten(p.model, config={"vocab_size": 60, "n_layers": -1})


def break_foreign_config(p: ModelPaths) -> None:
    rewritten(p.model, config={"layers": 3})


def break_shape(p: ModelPaths) -> None:
    data = torch.load(p.model, weights_only=True)
    data["config"]["n_layers"] = 3
    torch.save(data, p.model)


def break_swapped_shape(p: ModelPaths) -> None:
    data = torch.load(p.model, weights_only=True)
    data["weights"]["head.weight"] = data["weights"]["head.weight"].T.contiguous()
    torch.save(data, p.model)


def break_view(p: ModelPaths) -> None:
    """A few bytes that claim to be a large matrix."""
    data = torch.load(p.model, weights_only=True)
    data["weights"]["head.weight"] = torch.zeros(1, 1).expand(data["weights"]["head.weight"].shape)
    torch.save(data, p.model)


def break_sparse(p: ModelPaths) -> None:
    data = torch.load(p.model, weights_only=True)
    data["weights"]["head.weight"] = data["weights"]["head.weight"].to_sparse()
    torch.save(data, p.model)


def break_names(p: ModelPaths) -> None:
    data = torch.load(p.model, weights_only=True)
    data["weights"]["foot.weight"] = data["weights"].pop("head.weight")
    torch.save(data, p.model)


def break_nan(p: ModelPaths) -> None:
    data = torch.load(p.model, weights_only=True)
    data["weights"]["ln.bias"][3] = float("nan")
    torch.save(data, p.model)


def break_match(p: ModelPaths) -> None:
    SimpleTokenizer("abcdef").save(p.tokenizer)


def break_tokenizer_missing(p: ModelPaths) -> None:
    p.tokenizer.unlink()


def break_tokenizer_empty(p: ModelPaths) -> None:
    p.tokenizer.write_bytes(b"")


def break_tokenizer_truncated(p: ModelPaths) -> None:
    p.tokenizer.write_bytes(p.tokenizer.read_bytes()[:300])


def break_tokenizer_foreign(p: ModelPaths) -> None:
    torch.save({"kind": "tokenizer", "alphabet": 7}, p.tokenizer)


def break_tokenizer_twice(p: ModelPaths) -> None:
    torch.save({"kind": "tokenizer", "alphabet": "aba"}, p.tokenizer)


def break_tokenizer_huge(p: ModelPaths) -> None:
    torch.save({"kind": "tokenizer", "alphabet": "".join(map(chr, range(40_000)))}, p.tokenizer)


BREAKS = [value for name, value in list(globals().items()) if name.startswith("break_")]


@pytest.mark.parametrize("damage", BREAKS, ids=lambda f: f.__name__.removeprefix("break_"))
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_each_invalid_file_is_one_line(damage, pair: ModelPaths, in_folder: Path) -> None:
    damage(pair)
    before = {p: p.read_bytes() for p in in_folder.iterdir()}
    with pytest.raises(ModelFileError) as caught:
        load_pair(pair.model, pair.tokenizer)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith((str(pair.model), str(pair.tokenizer)))
    assert {p: p.read_bytes() for p in in_folder.iterdir()} == before  # no code ran, and nothing was changed


def test_unreadable_file(pair: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        "tinycopilot.model.storage.read_archive", refuse
    )  # root may read everything, so the refusal is simulated
    with pytest.raises(ModelFileError, match="no permission to read"):
        load_pair(pair.model, pair.tokenizer)


def test_file_in_an_unreadable_folder(pair: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ModelFileError, match=r"cannot be read \(Permission denied\); check the path"):
        load_pair(pair.model, pair.tokenizer)


@pytest.mark.slow
def test_saving_is_all_or_nothing(pair: ModelPaths, training_python: Sequence[str]) -> None:
    """A real write that fails half-way; a file size limit stands for a full disk."""
    before = pair.model.read_bytes()
    code = (
        "import resource, signal\nfrom tinycopilot.model.gpt import *\nfrom tinycopilot.model.tokenizer import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"t = SimpleTokenizer.load({str(pair.tokenizer)!r})\n"
        f"try: TinyGPT(GPTConfig(t.vocab_size)).save({str(pair.model)!r}, t)\n"
        "except OSError as error: print('OSError', error.strerror)"
    )
    result = subprocess.run([*training_python, "-c", code], capture_output=True, text=True, check=True)
    assert "OSError" in result.stdout
    assert pair.model.read_bytes() == before
    assert sorted(p.name for p in pair.model.parent.iterdir()) == ["tiny_gpt.pth", "tokenizer.pth"]


def test_crash_while_saving_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_atomically({"kind": "x", "a": 1}, tmp_path / "f")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save_atomically({"kind": "x", "a": 2}, tmp_path / "f")
    assert torch.load(tmp_path / "f", weights_only=True)["a"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_model_file_has_config_and_tokenizer_digest(pair: ModelPaths, tokenizer: SimpleTokenizer) -> None:
    data = torch.load(pair.model, weights_only=True)
    assert GPTConfig(**data["config"]).d_model == 32
    assert data["tokenizer_digest"] == tokenizer.digest
