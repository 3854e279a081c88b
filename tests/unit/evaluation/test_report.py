"""The evaluation page: its content, that it is self-contained, and how it is written."""

import html
import math
import os
import re
from pathlib import Path

import pytest
from outline import Outline
from replays import a_replay

from tinycopilot import UserError
from tinycopilot.evaluation.replay import ReplayResult
from tinycopilot.evaluation.report import page, short_names
from tinycopilot.page_file import check_page, write_page

CODE = "def area(width, height):\n    return width * height\n\n\ndef test_area():\n    assert area(2, 3) == 6\n"
RETURN = CODE.index("return")
ASSERT = CODE.index("assert")
SCRIPT = {CODE[: RETURN + 2]: "turn width", CODE[: ASSERT + 1]: "ssert isinstance("}
NASTY = "</code><script>alert(1)</script>\x00\x1b[31m\u202egnp\ud800&amp;\"'"
SHOWN = "</code><script>alert(1)</script>\u2400\u241b[31m\ufffdgnp\ufffd&amp;\"'"


def some_replays() -> list[ReplayResult]:
    dear = dict.fromkeys(range(RETURN, RETURN + 10), 5.0)
    return [
        a_replay(CODE, SCRIPT, network=dear, mixed={ASSERT: 9.0}, name="/code/app/area.py"),
        a_replay("x = 1\n" * 40, name="/code/main.py", first=60, last=120),
    ]


def written(
    replays: list[ReplayResult], command: str = "tinycopilot eval code", facts: tuple[str, str] = ("a", "b")
) -> str:
    return page(replays, command=command, facts=[facts])


def rows(page_html: str, number: int) -> list[str]:
    """The lines of a replay, as HTML."""
    return re.findall(rf'<code id="f{number}-\d+">(.*?)</code>', page_html)


def words(of_html: str) -> str:
    return html.unescape(re.sub("<[^>]*>", "", of_html))


def test_page_is_self_contained(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(path, written(some_replays()))
    text = path.read_text("utf-8")
    outline = Outline(text)
    assert "default-src 'none'; style-src 'unsafe-inline'\">" in text
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in outline.elements}
    assert not {"src", "xlink:href", "srcset"} & {name for _, attributes in outline.elements for name in attributes}
    assert not re.search(r"https?://|url\(|@import|javascript:", text)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_links_resolve_on_the_page() -> None:
    outline = Outline(written(some_replays()))
    places = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    links = [attributes["href"] for tag, attributes in outline.elements if tag == "a"]
    assert len(places) == len(set(places))
    assert len(links) >= 3
    assert {link.removeprefix("#") for link in links if link} <= set(places)
    labels = [attributes["for"] for tag, attributes in outline.elements if tag == "label"]
    assert labels == [attributes["id"] for tag, attributes in outline.elements if tag == "input"]


def test_figures_are_totals() -> None:
    replays = some_replays()
    replays[0].score.latencies_ms[:] = [4.0] * 90 + [20.0] * 4
    replays[1].score.latencies_ms[:] = [4.0] * 3 + [30.0] * 3
    figures = (replays[0].score + replays[1].score).figures()
    text = written(replays)
    outline = Outline(text)
    net = f"{100 * figures['keystrokes_saved']['net']:.1f}\N{NO-BREAK SPACE}%"
    assert outline.words["dd"][:3] == [net, "50.0\N{NO-BREAK SPACE}%", "4.0 ms"]
    assert "p95 20.0 ms, p99 30.0 ms" in text
    assert "10 characters median length; flicker" in text
    for source in ("network", "memory", "mixed"):
        assert f"{figures['bits_per_char'][source]:.3f}</b>" in text
    header = text[: text.index("</header>")]
    assert f"{100 * figures['keystrokes_saved']['gross']:.1f}\N{NO-BREAK SPACE}% gross" in header
    assert f"showing {figures['shown_per_100']:.1f}" in header
    assert outline.words["th"][-3:] == ["app/area.py", "main.py", "all 2 files"]


def test_code_is_shown_as_typed() -> None:
    replays = some_replays()
    text = written(replays)
    shown = [re.sub("<small>.*", "", row) for row in rows(text, 0)]
    assert [words(row) for row in shown] == CODE.splitlines()
    assert [words(row) for row in rows(text, 1)] == ["x = 1"] * 10
    assert '<code id="f1-11">' in text
    assert text.count("--before: 10") == 1


def test_accepted_suggestion_is_marked_in_place() -> None:
    row = rows(written(some_replays()), 0)[1]
    [(title, code)] = re.findall('<u title="([^"]*)">(.*?)</u>', row)
    assert (title, words(code)) == ("accepted, 50 % sure", "turn width")
    assert words(row[: row.index("<u")]) == "    re"


def test_wrong_suggestion_is_shown_next_to_its_line() -> None:
    row = rows(written(some_replays()), 0)[5]
    before, mark = row.split("<s class=", 1)
    assert words(before) == "    a"
    assert mark.startswith('"at" title="ssert isinstance(: wrong, 50 % sure"></s>')
    assert row.count("<small>") == 1
    assert row.endswith("<small><span>ssert <s>isinstance(</s> <em>50</em></span></small>")


def test_suggestions_across_lines_and_beyond_the_end() -> None:
    text = "if a:\n    b = 1\nc = 2\n"
    replayed = a_replay(text, {"if a": ":\n    b = 1", text[:17]: " = 2\nd", "i": "f x:\n    y"}, last=19)
    first, second, third = rows(written([replayed]), 0)
    assert re.findall("<u[^>]*>", first + second) == [
        '<u title="accepted, 50 % sure">',
        '<u class="on" title="accepted, 50 % sure">',
    ]
    assert "<s>x:\N{RETURN SYMBOL}    y</s>" in first
    assert "<u" not in third
    [row] = rows(written([a_replay("return x\n", {"re": "turn x"}, last=5)]), 0)
    assert [words(code) for code in re.findall("<u[^>]*>(.*?)</u>", row)] == ["turn x"]
    assert words(row) == "return x"


def test_consecutive_suggestions_stay_separate() -> None:
    [row] = rows(written([a_replay("return x\n", {"re": "tu", "retu": "rn x"})]), 0)
    assert [words(code) for code in re.findall("<u[^>]*>(.*?)</u>", row)] == ["tu", "rn x"]


def test_both_sides_of_a_passage_show_the_same_code() -> None:
    text = written(some_replays())
    figure = text[text.index("<figure>") : text.index("</figure>")]
    left, right = figure.split('<div class="by-mixed">')
    codes = [[words(code) for code in re.findall("<code[^>]*>(.*?)</code>", side)] for side in (left, right)]
    assert codes[0] == codes[1]
    assert "return width * height" in codes[0][1]
    assert 'class="n4"' in left
    assert re.search(r'class="n4 b\d"', right)
    assert "app/area.py, lines" in words(figure)


def test_common_indentation_is_removed_from_passages() -> None:
    code = "class A:\n" + "".join(f"\t    def method_number_{i}(self):\n\n" for i in range(9))
    text = written([a_replay(code, network=dict.fromkeys(range(150, 200), 4.0))])
    figure = text[text.index("<figure>") : text.index("</figure>")]
    shown = [words(code) for code in re.findall("<code[^>]*>(.*?)</code>", figure)]
    assert len(shown) > 6
    assert all(re.fullmatch(r"(def method_number_\d\(self\):)?", line) for line in shown)


def test_calibration_points_match_the_figures() -> None:
    text = written(some_replays())
    assert "2 suggestions" in text
    assert '<circle cx="50.00%" cy="50.00%"' in text
    assert "50 % confidence, 50 % correct, 2 suggestions" in text


def test_external_text_is_escaped() -> None:
    code = f"{NASTY} = 1\n" * 3
    places = dict.fromkeys(range(0, len(code), 2), 5.0)
    replayed = a_replay(code, {code[:5]: NASTY, code[:70]: code[70:80]}, network=places, name=f"/code/{NASTY}/a.py")
    other = a_replay("x\n", name="/code/b.py")
    text = written([replayed, other], f"tinycopilot eval {NASTY}", (NASTY, NASTY))
    text.encode("utf-8")
    outline = Outline(text)
    assert "script" not in outline.words
    assert f"tinycopilot eval {SHOWN}" in outline.words["pre"][0]
    assert f"{SHOWN}/a.py" in outline.words["a"]
    assert SHOWN in outline.words["td"]
    assert [words(row.split("<small>")[0]) for row in rows(text, 0)] == [f"{SHOWN} = 1"] * 3
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


@pytest.mark.parametrize("bits", [0.0, math.inf, math.nan])
def test_extreme_values_do_not_break_the_page(bits: float) -> None:
    places = dict.fromkeys(range(200), bits)
    text = written([a_replay("x = 1\n" * 30, network=places, mixed=places)])
    drawn = " ".join(value or "" for tag, of in Outline(text).elements for name, value in of.items() if name == "style")
    assert not re.search(r"\b(nan|inf)", drawn)
    assert "No suggestion was shown" in text
    assert "<figure>" not in text


def test_missing_figure_is_a_dash() -> None:
    text = written([a_replay("    x", last=3)])
    assert Outline(text).words["dd"][:2] == ["\N{EN DASH}", "\N{EN DASH}"]


def test_uninteresting_code_is_compact() -> None:
    many = [a_replay("value = other(1)\n" * 600, name=f"/code/{i}.py") for i in range(2)]
    assert len(written(many)) - len(written(many[:1])) < 4 * 600 * 17


@pytest.mark.parametrize(
    ("paths", "title", "names"),
    [
        (["/a/b/c.py"], "c.py", ["c.py"]),
        (["/a/b/c.py", "/a/b/c.py"], "c.py", ["c.py", "c.py"]),
        (["/a/b/c.py", "/a/b/d/e.py"], "b", ["c.py", "d/e.py"]),
        (["/a/b.py", "/c/d.py"], "/", ["a/b.py", "c/d.py"]),
        (["/a/b.py", "d.py"], "2 files", ["/a/b.py", "d.py"]),
    ],
)
def test_names_are_as_short_as_possible(paths: list[str], title: str, names: list[str]) -> None:
    assert short_names(paths) == (title, names)


def test_valid_destination_is_unchanged(tmp_path: Path) -> None:
    before = '<!DOCTYPE html>\n<meta name="generator" content="tinycopilot">'
    (tmp_path / "old.html").write_text(before)
    for name in ("old.html", "new.HTM"):
        check_page(tmp_path / name, "--report")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.html", before)]


def test_foreign_page_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<p>my own page</p>")
    with pytest.raises(UserError, match="is not a tinycopilot report"):
        check_page(tmp_path / "mine.html", "--report")


def test_invalid_destinations_are_reported_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.html")
    for name, why in (
        ("gone/report.html", "No such file or directory"),
        ("file/report.html", "Not a directory"),
        ("folder.html", "not a regular file"),
        ("pipe.html", "not a regular file"),
        ("code.py", "does not end in .html"),
        ("", "does not end in .html"),
        ("x" * 300 + ".html", "File name too long"),
    ):
        with pytest.raises(UserError, match=rf"cannot write a report there \(.*{re.escape(why)}\); use another"):
            check_page(tmp_path / name, "--report")
    (tmp_path / "kept.html").write_text("")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="Permission denied"):
        check_page(tmp_path / "kept.html", "--report")


def test_failed_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text(before := '<meta name="generator" content="tinycopilot">')

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        write_page(path, written(some_replays()))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("report.html", before)]
