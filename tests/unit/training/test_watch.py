"""`train --watch`: the page shows the network's outputs, stays small, and never stops training."""

import dataclasses
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning import LINES, same_weights, stopped_after
from outline import Outline
from torch import Tensor, nn
from watched import HOSTILE, SCHEDULE, a_run, take_steps, write_pages

from tinycopilot import UserError
from tinycopilot.cli import main
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.page.arrays import Arrays
from tinycopilot.paths import ModelPaths, model_to_save
from tinycopilot.training import setup
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.setup import TrainOptions
from tinycopilot.training.train import run_training
from tinycopilot.training.train_config import Size
from tinycopilot.training.watch import watched_step
from tinycopilot.training.watch.embedding_map import (
    KINDS,
    kind_of,
    on_plane,
    principal_directions,
    same_kind_shares,
    share_on_plane,
)
from tinycopilot.training.watch.observer import (
    MAX_BYTES,
    MAX_SHARE,
    MAX_STEPS,
    Watch,
    load_history,
    save_history,
    thinned,
    watch_page,
)
from tinycopilot.training.watch.page import render
from tinycopilot.training.watch.watched_step import (
    MAX_MAP_BYTES,
    N_PROMPTS,
    PYTHON_PROMPTS,
    WatchedStep,
    attention_weights,
    complete,
    fixed_inputs,
    watch_step,
)

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@pytest.fixture(autouse=True)
def short_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_step, "N_COMPLETED", 6)


def data_of(path: Path) -> dict[str, object]:
    [data] = DATA.findall(path.read_text("utf-8"))
    return json.loads(data)  # type: ignore[no-any-return]


def steps_of(path: Path) -> list[int]:
    return [step["step"] for step in data_of(path)["steps"]]  # type: ignore[attr-defined]


def a_step(step: int = 1, n_bytes: int = 1000) -> WatchedStep:
    attention = {"table": {}, "data": "A" * n_bytes}
    return WatchedStep(step, 100 * step, 2.0, ("x",), attention, np.ones((3, 4), np.float16), {})


def test_attention_weights_are_those_of_the_forward_pass(model: TinyGPT) -> None:
    """`weights @ v` is the input of the output projection."""
    ids = [3, 1, 4, 1, 5, 9, 2]
    into_qkv, into_output = list[Tensor](), list[Tensor]()

    def keep(into: list[Tensor]) -> object:
        return lambda _module, arguments: into.append(arguments[0])

    hooks = []
    for block in model.decoder_blocks():
        hooks.append(block.attn.qkv.register_forward_pre_hook(keep(into_qkv)))
        hooks.append(block.attn.o_proj.register_forward_pre_hook(keep(into_output)))
    model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    weights = attention_weights(model, ids)
    c = model.config
    assert weights.shape == (c.n_layers, c.n_heads, len(ids), len(ids))
    for layer, block in enumerate(model.decoder_blocks()):
        v = block.attn.qkv(into_qkv[layer])[0, :, 2 * c.d_model :].view(len(ids), c.n_heads, c.d_head)
        result = torch.einsum("hts,shd->thd", weights[layer], v).reshape(len(ids), c.d_model)
        torch.testing.assert_close(result, into_output[layer][0])
    assert not any(isinstance(module, nn.Module) and module._forward_pre_hooks for module in model.modules())


def test_completions_are_those_of_generate(model: TinyGPT) -> None:
    prompts = [[3, 1, 4], [1, 5, 9], [2, 6, 5]]
    n = 20  # more than a window
    assert complete(model, prompts, n) == [list(itertools.islice(model.generate(ids), n)) for ids in prompts]


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 300_000)), min_size=1, max_size=60))
def test_history_is_bounded(growth: list[tuple[int, int]]) -> None:
    """For any steps, the number and size are limited, and the first and newest steps are kept, in order."""
    steps, at = list[WatchedStep](), 0
    for n_steps, n_bytes in growth:
        at += n_steps
        steps = thinned([*steps, a_step(at, n_bytes)])
        assert len(steps) <= MAX_STEPS
        assert len(steps) <= 2 or sum(step.n_bytes for step in steps) <= MAX_BYTES
        assert [steps[0].step, steps[-1].step] == [growth[0][0], at]
        assert [step.step for step in steps] == sorted({step.step for step in steps})


def test_history_is_dense_at_the_beginning() -> None:
    steps = list[WatchedStep]()
    for at in range(1, 2001):
        steps = thinned([*steps, a_step(at)])
    assert len(steps) == MAX_STEPS
    assert sum(step.step <= 200 for step in steps) >= MAX_STEPS / 3


def test_history_is_stored_with_the_run(tmp_path: Path) -> None:
    run, state = a_run(tmp_path)
    steps = []
    inputs = fixed_inputs(run.corpus.held_out, is_python=True)
    for i in range(3):
        take_steps(state, 10, i)
        steps.append(watch_step(state.model, run.tokenizer, inputs, state.log))
    save_history(tmp_path, steps)
    loaded = load_history(tmp_path, 20)
    assert [step.step for step in loaded] == [10, 20]
    for one, other in zip(loaded, steps, strict=False):
        assert np.array_equal(one.embedding, other.embedding)
        assert vars(one) | {"embedding": None} == vars(other) | {"embedding": None}


@pytest.mark.parametrize("damaged", ["", "{", "[1]", '[{"step": 1}]', "null", '[{"step": "a"}]'])
def test_damaged_history_is_ignored(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "watch.json").write_text(damaged)
    assert load_history(tmp_path, 100) == []


def test_map_shows_the_directions_of_greatest_variance() -> None:
    generator = np.random.default_rng(0)
    embedding = generator.normal(size=(30, 8)) * [1, 5, 1, 1, 3, 1, 1, 1]
    kinds = [kind_of(character) for character in "abcdefghijklmnopqrst0123456789"]
    directions = principal_directions(embedding, kinds)
    eigenvalues = np.linalg.eigvalsh(np.cov(embedding.T))
    assert share_on_plane(embedding, directions) == pytest.approx(eigenvalues[-2:].sum() / eigenvalues.sum())
    places = on_plane(embedding, directions)
    assert np.abs(places).max() == pytest.approx(1)
    mirrored = on_plane(-embedding, principal_directions(-embedding, kinds))
    assert np.allclose(places, mirrored), "a reload may not flip the map"
    assert places[:20, 0].mean() < 0 < places[20:, 1].mean()


def test_near_characters_of_the_same_kind_are_counted() -> None:
    characters = "ab12()"
    embedding = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, 0], [1, 0.05]])  # the last bracket is among letters
    shares = same_kind_shares(embedding, [kind_of(character) for character in characters])
    assert shares == {"lower-case letter": 0.0, "digit": 1.0, "bracket": 0.0}


def test_each_character_has_a_kind() -> None:
    kinds = {kind_of(chr(i)) for i in range(1, 0x3000)}
    assert kinds == set(KINDS)


@pytest.mark.parametrize(
    ("held_out", "prompts"),
    [
        ("let x = 1;\nlet y = 2;\nfn main() {\n}\nuse std::io;\n", ("let x", "fn ma", "use s")),
        ("abc", ("",)),
        ("word\n" * 9, ("wo",)),
        ("ab \U0001f600 cd\n", ("ab ",)),
    ],
)
def test_prompts_of_another_language_are_from_its_text(held_out: str, prompts: Sequence[str], tmp_path: Path) -> None:
    run, _ = a_run(tmp_path, ext=".rs", held_out=held_out)
    inputs = fixed_inputs(run.corpus.held_out, is_python=False)
    assert inputs.prompts == prompts
    assert len(prompts) <= N_PROMPTS
    assert fixed_inputs(run.corpus.held_out, is_python=True).prompts == PYTHON_PROMPTS


def test_text_stays_text_and_only_a_running_page_reloads(tmp_path: Path) -> None:
    write_pages(tmp_path)
    running, ended = ((tmp_path / f"{name}.html").read_text("utf-8") for name in ("running", "ended"))
    for html in (running, ended):
        elements = [tag for tag, _ in Outline(html.replace("<!DOCTYPE html>", "")).elements]
        assert elements.count("script") == 2
        assert "img" not in elements
        assert "default-src 'none'" in html
        assert HOSTILE[:20] not in html
    assert HOSTILE.replace("\x07", "\u2407") in "".join(Outline(running.replace("<!DOCTYPE html>", "")).words["pre"])
    assert 'http-equiv="refresh"' in running
    assert 'http-equiv="refresh"' not in ended
    assert [data_of(tmp_path / f"{name}.html")["is_running"] for name in ("running", "ended")] == [True, False]
    assert steps_of(tmp_path / "ended.html") == [0, 100, 200, 300, 400]


@pytest.mark.slow
def test_page_is_at_most_2_mb(tmp_path: Path) -> None:
    """Uses the largest attention maps, which compress badly, and a long log."""
    run, state = a_run(tmp_path)
    run = dataclasses.replace(run, tokenizer=SimpleTokenizer("".join(map(chr, range(33, 333)))))
    random = np.random.default_rng(0)
    arrays = Arrays()
    arrays.add("weights", random.integers(0, 256, MAX_MAP_BYTES), "uint8")
    attention = arrays.as_json()
    steps = list[WatchedStep]()
    for i in range(1, 5):
        embedding = random.normal(size=(200, 512)).astype(np.float16)
        steps = thinned([*steps, WatchedStep(i, i, 2.0, ("\x07" * 48,) * 3, attention, embedding, {"digit": 0.5})])
    bits = random.uniform(1, 6, 3000)
    state.log.intervals = [LogInterval(i, i, float(i), float(b), 1.0) for i, b in enumerate(bits, 1)]
    state.log.evaluations = [Evaluation(i, i, float(i), 2.0, "x") for i in range(1, 3000, 30)]
    inputs = fixed_inputs(run.corpus.held_out, is_python=True)
    html = render(steps, inputs, run, state, SCHEDULE, share=0.01)
    assert len(html.encode()) <= 2_000_000


def test_steps_are_recorded_as_often_as_their_cost_allows(tmp_path: Path) -> None:
    run, state = a_run(tmp_path / "run")
    with Watch(tmp_path / "w.html", tmp_path / "run", state, run, print, "resume it") as watch:
        take_steps(state, 20)
        state.log.seconds = 0.9 * watch._spent_s / MAX_SHARE
        watch.on_interval(state.log.intervals[-1])
        assert steps_of(tmp_path / "w.html") == [0]
        state.log.seconds = 2.1 * watch._spent_s / MAX_SHARE
        watch.on_interval(state.log.intervals[-1])
        assert steps_of(tmp_path / "w.html") == [0, 20]
        spent_s = watch._spent_s
        state.log.seconds = 0.9 * spent_s / MAX_SHARE
        watch.on_interval(state.log.intervals[-1])
        assert watch._spent_s == spent_s  # it did not look
        state.log.n_steps = 10  # a rollback
        watch.on_evaluation(state.log.evaluations[-1])
        assert steps_of(tmp_path / "w.html") == [0, 10]


def test_unwritable_page_is_reported_once(tmp_path: Path) -> None:
    run, state = a_run(tmp_path / "run")
    said = list[str]()
    with Watch(tmp_path / "gone" / "w.html", tmp_path / "run", state, run, said.append, "resume it") as watch:
        take_steps(state, 20)
        watch.on_evaluation(state.log.evaluations[-1])
    assert len(said) == 1
    assert said[0].endswith("w.html: cannot write the page (No such file or directory); training continues without it")


def test_bad_paths_are_refused_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = model_to_save(str(tmp_path / "m.pth"))
    (tmp_path / "mine.html").write_text("<p>not a page of ours</p>")
    for name in ("notes.txt", "mine.html", "no/folder/page.html", "."):
        with pytest.raises(UserError) as caught:
            watch_page(str(tmp_path / name), paths)
        assert "\n" not in str(caught.value)
    assert watch_page(None, paths) is None
    assert watch_page("", paths) == tmp_path / "m.watch.html"
    text = str(tmp_path / "notes.txt")
    assert main(["train", "--corpus", "corpus.txt", "--model_path", str(paths.model), "--watch", text]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("use another --watch\n")
    assert not (tmp_path / ".m.pth.run").exists()


@pytest.mark.slow
def test_interrupted_run_continues_its_page_and_ends_like_an_unwatched_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(setup.SIZES, "nano", Size(n_layers=1, n_heads=1, d_model=16, window=32))
    (tmp_path / "text.py").write_text(LINES)
    page = tmp_path / "watched.watch.html"

    def request(name: str, **more: object) -> TrainOptions:
        corpus = [str(tmp_path / "text.py")]
        return TrainOptions(corpus=corpus, epochs=2, model_path=str(tmp_path / name), device="cpu", **more)  # type: ignore[arg-type]

    run_training(request("plain.pth"))
    assert not page.exists()
    with stopped_after(60, KeyboardInterrupt):
        run_training(request("watched.pth", watch=""))
    command = f"tinycopilot train --resume --model-path {tmp_path / 'watched.pth'} --device cpu --watch"
    assert f"Resume it with: {command}" in page.read_text("utf-8")
    assert steps_of(page)[0] == 0
    assert data_of(page)["is_running"] is False
    assert capsys.readouterr().err.rstrip().endswith("--watch")
    run_training(request("watched.pth", watch="", resume=True))
    assert steps_of(page)[0] == 0, "the history continues, although the resumed run begins later"
    assert len(steps_of(page)) > 2
    assert "Training ended" in page.read_text("utf-8")
    pairs = (ModelPaths(tmp_path / f"{name}.pth", tmp_path / f"{name}.tokenizer.pth") for name in ("plain", "watched"))
    assert same_weights(*(load_pair(pair.model, pair.tokenizer)[0] for pair in pairs))
