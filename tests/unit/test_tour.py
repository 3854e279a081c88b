"""docs/tour: snippets print what the pages show, exercises accept their solutions only, pictures are the script's."""

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

TOUR = Path(__file__).resolve().parents[2] / "docs" / "tour"
SLOW = ("06", "08")
"""Chapters whose solution takes seconds."""
EXERCISES = sorted((TOUR / "exercises").glob("[0-9]*.py"))
Layer = Callable[[np.ndarray], np.ndarray]
FUNCTION = re.compile(r"^    run\(check, (.*)\)$", re.M)


@pytest.fixture(scope="module", autouse=True)
def in_path() -> Iterator[None]:
    """Add the folders to the import path, as Python does when it runs the files there."""
    before = list(sys.path)
    sys.path[:0] = [str(TOUR), str(TOUR / "exercises")]
    yield
    sys.path[:] = before


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names(exercise: Path) -> list[str]:
    """Return the functions that the reader fills in."""
    [found] = FUNCTION.findall(exercise.read_text("utf-8"))
    return found.split(", ")


def test_each_chapter_has_an_exercise_and_a_solution() -> None:
    chapters = sorted(path.stem[:2] for path in TOUR.glob("[0-9]*.md"))
    assert chapters == [f"{i:02}" for i in range(1, 11)]
    assert [path.stem[:2] for path in EXERCISES] == chapters
    assert {path.name for path in EXERCISES} == {path.name for path in (TOUR / "solutions").glob("*.py")}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem[:2] in SLOW)) for path in EXERCISES],
)
def test_exercise_accepts_its_solution_only(path: Path) -> None:
    from checking import verdict

    exercise, solution = load(path), load(TOUR / "solutions" / path.name)
    assert verdict(exercise.check, *(getattr(exercise, name) for name in names(path))).startswith(
        "wrong: not filled in"
    )
    assert verdict(exercise.check, *(getattr(solution, name) for name in names(path))) == "right"
    assert "returned None" in verdict(exercise.check, *(lambda *_: None for _ in names(path)))


PAGES = sorted(TOUR.glob("*.md"))
NUMBER = re.compile(r"\d+(?:\.\d+)?")
LINK = re.compile(r"\[`([\w.]+)`\]\((\S+\.py)\)")


def alike(made: str, kept: str, tolerance: float) -> bool:
    """Whether two texts differ only in the rounding of numbers, which depends on the processor."""
    pairs = zip(map(float, NUMBER.findall(made)), map(float, NUMBER.findall(kept)), strict=False)
    is_near = all(abs(a - b) <= tolerance * (1 + 0.05 * max(a, b)) for a, b in pairs)
    return is_near and NUMBER.sub("#", made) == NUMBER.sub("#", kept)


def test_numbers_are_compared() -> None:
    assert alike("p 0.98, 10", "p 0.99, 10", 0.02)
    assert not alike("p 0.98", "p 0.91", 0.02)
    assert not alike("p 0.98", "q 0.98", 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_snippets_print_what_the_page_shows(page: Path) -> None:
    from snippets import SNIPPET, output_of

    text = page.read_text("utf-8")
    snippets = SNIPPET.findall(text)
    assert len(snippets) == text.count("```python")
    for code, shown in snippets:
        assert alike(output_of(code), shown, 0.02), f"{page.name}: run `make tour`\n{code}\n{output_of(code)}"


def test_each_chapter_has_a_snippet_a_picture_and_links_to_its_exercise() -> None:
    for page, exercise in zip(sorted(TOUR.glob("[0-9]*.md")), EXERCISES, strict=True):
        text = page.read_text("utf-8")
        assert "```python" in text
        assert "](pictures/" in text
        assert f"(exercises/{exercise.name})" in text
        assert f"(solutions/{exercise.name})" in text
        assert f"({page.name})" in (TOUR / "index.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "file"), sorted({link for page in PAGES for link in LINK.findall(page.read_text("utf-8"))})
)
def test_symbol_is_in_the_file_that_it_links_to(name: str, file: str) -> None:
    body = ast.parse((TOUR / file).read_text("utf-8")).body
    for part in name.split("."):
        named = [node for node in body if part in defined(node)]
        assert named, f"{name} is not in {file}"
        body = getattr(named[0], "body", [])


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


@pytest.mark.slow
def test_pictures_are_those_of_the_script() -> None:
    from pictures import PICTURES

    assert {path.stem for path in (TOUR / "pictures").glob("*")} == set(PICTURES)
    linked = {name for page in PAGES for name in re.findall(r"\]\(pictures/(.*?)\.svg\)", page.read_text("utf-8"))}
    assert linked == set(PICTURES)
    for name, draw in PICTURES.items():
        made = ElementTree.fromstring(str(draw()))
        kept = ElementTree.fromstring((TOUR / "pictures" / f"{name}.svg").read_text("utf-8"))
        assert drawing(made) == drawing(kept), f"{name}.svg: run `make tour`"


def drawing(picture: ElementTree.Element) -> list[tuple[str, str]]:
    """The elements of a picture, in words; without coordinates and probabilities, which depend on rounding."""
    return [
        (one.tag, NUMBER.sub("#", f"{one.get('class')} {one.text}")) for one in picture.iter() if one.tag[-4:] != "path"
    ]


def test_table_lists_the_recorded_runs() -> None:
    import runs

    page = runs.PAGE.read_text("utf-8")
    assert runs.page_with(runs.table(), page) == page, "run `make tour`"
    assert all(f"--without {name.replace('-', ' ')}`" in page for name in runs.NAMES)


def test_recorded_runs_are_of_the_parts_that_they_name() -> None:
    import runs

    for name in runs.NAMES:
        assert "-".join(runs.run(name)["without"] or ["nothing"]) == name
        assert len(runs.run(name)["held_out"]) == 10


def test_small_files() -> None:
    assert all(path.stat().st_size < 60_000 for path in (TOUR / "pictures").iterdir())


def softmax(z: np.ndarray, axis: int = 1) -> np.ndarray:
    z = np.where(np.tri(len(z), dtype=bool), z, -np.inf)
    return np.exp(z) / np.exp(z).sum(axis, keepdims=True)


def layer_norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)


def block_of_normed_stream(x: np.ndarray, attend: Layer, feed_forward: Layer, norm: Layer) -> np.ndarray:
    x = norm(x)
    x = x + attend(x)
    x = norm(x)
    return x + feed_forward(x)


def block_in_place(x: np.ndarray, attend: Layer, feed_forward: Layer, norm: Layer) -> np.ndarray:
    x += attend(norm(x))
    x += feed_forward(norm(x))
    return x


def gain(ps: Sequence[float], *costs: float) -> float:
    return float(load(TOUR / "solutions" / "10_decision.py").gain(ps, *costs))


def length_of_highest_gain(ps: Sequence[float], *costs: float) -> int:
    return max(range(1, len(ps) + 1), key=lambda n: gain(ps[:n], *costs))


def unfinished(*_: object) -> None:
    raise NotImplementedError


MISTAKES: list[tuple[str, tuple[Callable[..., object], ...], str]] = [
    ("01_characters", (lambda text, alphabet: [alphabet.find(c) for c in text],), "has the id len(alphabet)"),
    ("02_positions", (lambda x, *_: x,), "pair"),
    ("03_attention", (lambda q, k, v: softmax(q @ k.T) @ v,), "divide the scores"),
    ("03_attention", (lambda q, k, v: softmax(q @ k.T / 4, axis=0) @ v,), "each row by its own sum"),
    ("03_attention", (lambda q, k, v: softmax(k @ q.T / 4) @ v,), "not k @ q.T"),
    ("05_block", (layer_norm, unfinished), "in `unfinished`, replace"),
    ("05_block", (layer_norm, block_of_normed_stream), "not to norm(x)"),
    ("05_block", (layer_norm, block_in_place), "changed its input"),
    ("07_sampling", (lambda z, t, _: np.exp(z * t) / np.exp(z * t).sum(),), "you multiplied"),
    ("08_drafts", (lambda _, likeliest: likeliest,), "stop there"),
    ("08_drafts", (lambda drafted, likeliest: likeliest if drafted == likeliest[:-1] else "a",), "one more"),
    ("10_decision", (gain, length_of_highest_gain), "never above 0"),
]
"""Mistakes that readers make, and a part of the hint."""


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "mistaken", "hint"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_mistake_gives_a_hint(stem: str, mistaken: tuple[Callable[..., object], ...], hint: str) -> None:
    from checking import verdict

    assert hint in verdict(load(TOUR / "exercises" / f"{stem}.py").check, *mistaken)


@pytest.mark.slow
def test_error_of_the_reader_is_one_line() -> None:
    from checking import verdict

    said = verdict(load(TOUR / "exercises" / "07_sampling.py").check, lambda z, *_: z["a"])
    assert said.startswith("wrong: IndexError on line ")
    assert "\n" not in said
