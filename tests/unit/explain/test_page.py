"""The page of `explain --html`: its figures are the engine's, and no text can become HTML or script."""

import base64
import hashlib
import inspect
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from explain_page import Page
from markupsafe import escape
from networks import randomize

from tinycopilot.cli import main
from tinycopilot.completion.decoding import log_softmax
from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.network import load_pair
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.explain import page as page_module
from tinycopilot.explain.instrumented import read
from tinycopilot.explain.page import PANELS, ROOT, link_to
from tinycopilot.explain.panels import MAX_BYTES, n_positions
from tinycopilot.explain.trace import trace
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, bundled_model

MakePage = Callable[..., Page]
CODE = "def add(a, b):\n    return a + b\n\n\ndef add_all(a, b):\n    return add(a"
HOSTILE = "</script><script>alert(1)</script><!-- <b onclick='x'>{{ 7 * 7 }}{% raw %} \u2028 \udc80"


class Elements(HTMLParser):
    """The elements of a page by tag; of scripts, the contents."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def test_distributions_and_decisions_equal_the_engine(make_page: MakePage, pair: ModelPaths, in_folder: Path) -> None:
    (in_folder / "other.py").write_text("def add_all(a, b):\n    return add(a)\n" * 3)
    page = make_page(CODE, "--workspace", ".")
    data = page.data
    assert "".join(data["text"]) == "\n" + CODE

    def fresh(eagerness: float = 0.5) -> Engine:
        engine = Engine.load(pair, CompleterSettings(eagerness=eagerness))
        engine.hold("other.py", (in_folder / "other.py").read_text())
        return engine

    for n in (0, 1, 20, len(CODE) - 1):
        bits = fresh().observe(Request(CODE[:n], why=Why.REPLAYED), CODE[n])
        position = data["mixture"]["positions"][n]
        assert [-math.log2(position["p"][i]) for i in (0, 1, 3)] == pytest.approx(list(bits.values()), abs=1e-3)
        assert data["p"][n + 1] == position["p"][3]
    for one in data["decision"]["by_eagerness"]:
        result = fresh(one["eagerness"]).complete(Request(CODE, why=Why.REPLAYED))
        assert one["shown"] == (result.suggestion.text.replace("\n", "⏎") if result.suggestion else "")
        assert one["why"].startswith("Nothing is shown" if not result.suggestion else "“")
    [verdict] = [
        one["why"] for one in data["decision"]["by_eagerness"] if one["eagerness"] == CompleterSettings.eagerness
    ]
    assert f'<p class="lead">{escape(verdict)}' in page.html
    prediction, cursor = trace(fresh(), Request(CODE)).ahead[0].prediction, data["mixture"]["positions"][-1]
    for row, top in zip((*prediction.rows, prediction.log_probs), cursor["top"], strict=False):
        assert [p for _, p in top] == pytest.approx(np.sort(np.exp(row))[::-1][: len(top)], rel=1e-3)


def test_attention_and_logits_equal_the_network(make_page: MakePage, pair: ModelPaths) -> None:
    page = make_page(CODE)
    network, tokenizer = load_pair(pair.model, pair.tokenizer)
    ids = tokenizer.encode("\n" + CODE)
    logits, arrays = network.forward(ids, network.new_cache()), page.arrays
    assert arrays["logits"] == pytest.approx(logits, abs=1e-4)
    assert arrays["lens_p"][-1] == pytest.approx(np.sort(np.exp(log_softmax(logits)))[:, ::-1][:, :5], rel=1e-3)
    passed = read(network, ids, len(ids))
    weights = arrays["attention"] / 65535
    assert weights == pytest.approx(np.stack([block.weights for block in passed.blocks]), abs=1e-5)
    assert weights.sum(-1) + arrays["earlier"] / 65535 == pytest.approx(1, abs=1e-3)
    q, k = (arrays[name].astype(np.float64) for name in "qk")
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    window, at = network.config.window, np.arange(len(ids))
    scores[..., (at > at[:, None]) | (at <= at[:, None] - window)] = -np.inf
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    assert shares / shares.sum(-1, keepdims=True) == pytest.approx(weights, abs=0.02)  # q and k are halves
    stream = arrays["stream"][-1] / 127.0
    assert stream == pytest.approx(
        passed.blocks[-1].stream / np.abs(passed.blocks[-1].stream).max(-1)[:, None], abs=0.01
    )


@pytest.mark.parametrize("text", ["", "a", "\n", HOSTILE, "\N{SNOWMAN}\U0001f600\x00\x1b", "x = 1\r\n\ty"])
def test_text_is_escaped(text: str, make_page: MakePage) -> None:
    page = make_page(text)
    assert "".join(page.data["text"]) == "\n" + text.replace("\r\n", "\n")
    elements = Elements(page.html)
    assert len(elements.scripts) == 2
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)
    assert page.html.count("<!--") == 0
    assert "7 * 7" not in page.html.replace("{{ 7 * 7 }}", "")


def test_page_is_self_contained(make_page: MakePage) -> None:
    html = make_page(CODE).html
    digest = base64.b64encode(hashlib.sha256(Elements(html).scripts[1].encode()).digest()).decode()
    [policy] = [
        attributes["content"] or ""
        for tag, attributes in Elements(html).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\(", html)
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", html)


def test_each_panel_has_a_description_and_valid_links(make_page: MakePage, in_folder: Path) -> None:
    html = make_page("a").html
    for panel in PANELS:
        assert f'id="{panel.name}"' in html
        assert len(re.findall(r"[.;](?= |$)", panel.about)) >= 2
        for symbol in panel.symbols:
            link = link_to(symbol, in_folder / "page.html")
            file, _, line = link.place.rpartition(":")
            source = (ROOT / file).read_text("utf-8").splitlines()[int(line) - 1 :]
            assert re.search(rf"(def|class) {link.name}\b", "\n".join(source[:3]))
            assert (in_folder / link.href).resolve() == (ROOT / file).resolve()
            assert f'href="{link.href}"' in html
            assert inspect.getdoc(getattr(symbol, "py_func", symbol))


def test_link_to_any_folder_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a #1\xa0?%41 \u202e" / "m.py"
    file.parent.mkdir()
    file.write_text("def f(): pass\n")
    names = dict[str, Callable[..., object]]()
    exec(compile(file.read_text(), str(file), "exec"), names)
    monkeypatch.setattr(page_module, "ROOT", tmp_path)
    assert link_to(names["f"], tmp_path / "page.html").href == "a%20%231%C2%A0%3F%2541%20%E2%80%AE/m.py"


@pytest.mark.parametrize(("n_layers", "n_heads"), [(1, 1), (1, 2), (3, 1)])
def test_one_layer_or_one_head(n_layers: int, n_heads: int, make_page: MakePage, tmp_path: Path) -> None:
    tokenizer = SimpleTokenizer("\n\tabcdef()[]:=,. ")
    config = GPTConfig(tokenizer.vocab_size, n_layers=n_layers, n_heads=n_heads, d_model=16, window=8, conv_width=1)
    (tmp_path / "small").mkdir()
    paths = ModelPaths(tmp_path / "small" / "tiny_gpt.pth", tmp_path / "small" / "tokenizer.pth")
    tokenizer.save(paths.tokenizer)
    randomize(TinyGPT(config)).save(paths.model, tokenizer)
    arrays = make_page("abc = def(a)\n" * 4, model=paths).arrays
    assert arrays["attention"].shape[:2] == (n_layers, n_heads)
    assert arrays["lens_p"].shape[0] == n_layers + 1


def test_long_text_is_cut(make_page: MakePage) -> None:
    page = make_page("x = add(a, b)\n" * 7_143)
    assert "the last 200 of 100,002 characters" in page.said
    assert "the last 200 of 100,002 characters" in page.html
    assert len(page.data["text"]) == 201


@pytest.mark.parametrize("n_heads", [1, 16, 36, 400])
@pytest.mark.parametrize("d_head", [2, 32, 64, 1024])
def test_larger_network_shows_fewer_positions(n_heads: int, d_head: int) -> None:
    m = n_positions(201, n_heads, d_head)
    assert 1 <= m <= 201
    assert m == 1 or n_heads * (2 * m * m + 4 * d_head * m) <= MAX_BYTES
    assert n_positions(201, 24, 64) == 106  # the bundled model


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("folder.html", "not a regular file"),
        ("gone/page.html", "No such file or directory"),
        ("page.txt", "does not end in .html"),
        ("mine.html", "is not a tinycopilot report"),
    ],
)
def test_failed_write_is_one_line(name: str, says: str, pair: ModelPaths, in_folder: Path, capsys) -> None:
    (in_folder / "folder.html").mkdir()
    (in_folder / "mine.html").write_text("<p>my own</p>")
    assert main(["explain", "a", "--model_path", str(pair.model), "--html", name]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert says in line
    assert (in_folder / "mine.html").read_text() == "<p>my own</p>"


def test_full_disk_keeps_the_old_page(
    make_page: MakePage, pair: ModelPaths, in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    before = make_page("a").html

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert main(["explain", "b", "--model_path", str(pair.model), "--html", "page.html"]) == 2
    assert "cannot write the page (No space left on device)" in capsys.readouterr().err
    assert [path.name for path in in_folder.glob("*.html")] == ["page.html"]
    assert (in_folder / "page.html").read_text() == before


def test_dark_is_the_same_in_a_browser_and_in_vs_code() -> None:
    style = (ROOT / "tinycopilot/page/base.css").read_text("utf-8")
    dark = re.findall(r"vscode-(?:light|dark)\)\)? \{ (--paper.*?--l2: #\w+; --ghost: #\w+)", style, re.DOTALL)
    assert len(dark) == 2
    assert dark[0] == dark[1]


@pytest.mark.slow
def test_page_is_at_most_2_mb(make_page: MakePage) -> None:
    page = make_page(f"{inspect.getfile(Engine)}:150:20", model=bundled_model())
    assert len(page.html.encode()) <= 2_000_000


def test_places_where_a_context_was_seen_count_characters(make_page: MakePage) -> None:
    seen = make_page("\ta = '😀😀 first item'\nb = ' firs").data["mixture"]["seen"]
    assert seen == [["", 1, "⇥a = '😀😀 firs", "t", " item'"]]
