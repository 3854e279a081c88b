"""Which files are held out: chosen by name, and stable when other files are added or removed."""

from tinycopilot.evaluation.holdout import MIN_CHARS, choose_held_out, near_duplicates

LONG = {f"package/module_{i}.py": f"line {i}\n" * 400 for i in range(200)}


def test_holds_out_about_ten_percent_deterministically() -> None:
    chosen = choose_held_out(LONG)
    assert 10 <= len(chosen) <= 30
    assert choose_held_out(dict(reversed(LONG.items()))) == chosen
    fewer = {name: text for i, (name, text) in enumerate(LONG.items()) if i % 2}
    assert set(choose_held_out(fewer)) == set(chosen) & fewer.keys()


def test_holds_out_at_least_one_file() -> None:
    for n in range(2, 8):
        some = dict(list(LONG.items())[:n])
        assert 1 <= len(choose_held_out(some)) <= max(1, n // 2)


def test_short_files_are_added_until_measurable() -> None:
    short = {name: text[:150] for name, text in LONG.items()}
    few = dict(list(short.items())[:40])
    n_chars = sum(len(few[name]) for name in choose_held_out(few))
    assert MIN_CHARS <= n_chars < MIN_CHARS + 40 * 15 + 150


def test_blank_files_are_not_measured() -> None:
    assert choose_held_out({"a.py": "", "b.py": " \n"}) == []
    assert choose_held_out({"__init__.py": "", "b.py": "x = 1\n" * 20}) == ["b.py"]


def test_copies_of_held_out_files_are_found() -> None:
    text = "".join(f"a line of its own, {i}, which is longer than a shingle is: {i * i}\n" for i in range(20))
    texts = {"own.py": text, "copy.py": text[:-200] + "another end\n", "other.py": "def f(x):\n    return x\n" * 20}
    assert near_duplicates(texts, ["own.py"]) == ["copy.py"]
