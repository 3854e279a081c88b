"""Which events are counted, and how several servers merge their counts in one file."""

import asyncio
import functools
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import pytest
from filelock import FileLock
from hypothesis import given
from tinycopilot_server import statistics as statistics_module
from tinycopilot_server.statistics import (
    BUCKETS_MS,
    KEPT_S,
    MAX_DAYS,
    MAX_OFFERS,
    SAVE_S,
    Day,
    Statistics,
    added,
    empty_day,
    in_words,
    kept_chars,
    percentile_ms,
)

from tinycopilot.paths import NO_HOME


class Clock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "statistics.json"


@pytest.fixture
def texts() -> dict[str, str]:
    """The texts of the open documents, by name."""
    return {}


@pytest.fixture
def counted(path: Path, texts: dict[str, str], clock: Clock) -> Statistics:
    return Statistics(path, texts.get, clock)


def on_disk(path: Path) -> Day:
    """The sum over all days in the file."""
    return total(Statistics(path, {}.get))


def total(statistics: Statistics) -> Day:
    """The sum over all days: the test may run at midnight."""
    [day] = functools.reduce(added, ({"": day} for day in statistics.days().values())).values()
    return day


def test_full_accept_is_counted_once(counted: Statistics) -> None:
    name = counted.answered("a.py", "x = ", "value", 7.0)
    counted.accepted(name)
    counted.accepted(name)
    counted.accepted("unknown")
    day = total(counted)
    assert (day["answered"], day["accepted"], day["accepted_chars"]) == (1, 1, 5)
    assert sum(day["latency"]) == 1


def test_rest_of_the_last_suggestion_is_not_counted_again(counted: Statistics) -> None:
    counted.answered("a.py", "x = ", "value", 7.0)
    counted.answered("a.py", "x = va", "lue", 7.0)
    counted.answered("b.py", "x = va", "lue", 7.0)
    counted.answered("b.py", "x = va", "lid", 7.0)
    assert total(counted)["answered"] == 3


def test_partial_accepts_are_counted_by_their_end(counted: Statistics) -> None:
    name = counted.answered("a.py", "x = ", "some value", 7.0)
    for n_chars in (4, 4, 2, 7):
        counted.partly_accepted(name, n_chars)
    counted.accepted(name)
    day = total(counted)
    assert (day["partly_accepted"], day["accepted"], day["accepted_chars"]) == (1, 1, 10)


def test_menu_entries_are_counted_separately(counted: Statistics) -> None:
    counted.accepted(counted.listed("a.py", "x = ", "value"))
    counted.listed("a.py", "x = ", "value")
    counted.shown(counted.alternative("a.py", "x = ", "other"))
    day = total(counted)
    assert {name: n for name, n in day.items() if n and name != "latency"} == {
        "listed": 2, "chosen": 1, "accepted_chars": 5, "shown": 1,
    }  # fmt: skip


def test_accepted_text_is_checked_when_due(counted: Statistics, texts: dict[str, str], clock: Clock) -> None:
    texts["a.py"] = "x = valid\n"
    counted.accepted(counted.answered("a.py", "x = ", "value", 7.0))
    clock.now_s += KEPT_S - 1
    counted.check_due()
    assert total(counted)["judged_chars"] == 0
    counted.accepted(counted.answered("a.py", "y = ", "value", 7.0))
    clock.now_s += 1
    counted.check_due()
    assert (total(counted)["judged_chars"], total(counted)["kept_chars"]) == (5, 3)
    counted.check_kept()
    assert (total(counted)["judged_chars"], total(counted)["kept_chars"]) == (10, 3)


def test_closed_document_is_checked_and_missing_one_ignored(counted: Statistics, texts: dict[str, str]) -> None:
    texts |= {"a.py": "x = value", "b.py": "x = value"}
    for document in ("a.py", "b.py", "c.py"):
        counted.accepted(counted.answered(document, "x = ", "value", 7.0))
    counted.check_kept("b.py")
    assert total(counted)["judged_chars"] == 5
    counted.check_kept()
    assert total(counted)["judged_chars"] == 10


@pytest.mark.parametrize(
    ("text", "anchor", "accepted", "n"),
    [
        ("x = value\n", "x = ", "value", 5),
        ("x = valid\n", "x = ", "value", 3),
        ("y = value\n", "x = ", "value", 0),
        ("x = vain; x = value", "x = ", "value", 5),
        ("value = 1", "", "value", 5),
        (" value = 1", "", "value", 0),
        ("aaab", "aa", "ab", 2),
    ],
)
def test_kept_length_is_the_longest_prefix_still_present(text: str, anchor: str, accepted: str, n: int) -> None:
    assert kept_chars(text, anchor, accepted) == n


@given(
    text=st.text("ab", max_size=14), anchor=st.text("ab", min_size=1, max_size=3), accepted=st.text("ab", max_size=6)
)
def test_kept_chars_equal_the_plain_definition(text: str, anchor: str, accepted: str) -> None:
    kept = [n for n in range(len(accepted) + 1) if anchor + accepted[:n] in text]
    assert kept_chars(text, anchor, accepted) == max(kept, default=0)


@given(st.lists(st.floats(0.6, 8_000), min_size=1), st.sampled_from([50, 95]))
def test_percentiles_are_within_25_percent(times_ms: list[float], percent: int) -> None:
    latency = [0] * (len(BUCKETS_MS) + 1)
    for ms in times_ms:
        latency[sum(bound < ms for bound in BUCKETS_MS)] += 1
    exact = sorted(times_ms)[-(-len(times_ms) * percent // 100) - 1]
    found = percentile_ms(latency, percent)
    assert found is not None
    assert exact <= found * 1.001
    assert found <= exact * 1.26


def test_percentile_of_empty_histogram_is_none() -> None:
    assert percentile_ms(empty_day()["latency"], 50) is None


def test_disabled_statistics_count_nothing(counted: Statistics, path: Path) -> None:
    counted.is_on = False
    assert counted.answered("a.py", "x = ", "value", 7.0) == ""
    assert counted.listed("a.py", "x = ", "value") == counted.alternative("a.py", "x = ", "value") == ""
    counted.accepted("")
    counted.save()
    assert counted.days() == {}
    assert not path.exists()


def test_file_is_private_and_contains_no_code(counted: Statistics, path: Path) -> None:
    counted.accepted(counted.answered("secret_name.py", "secret_before = ", "secret_value", 7.0))
    counted.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret" not in path.read_text()
    assert json.loads(path.read_text())["version"] == 1
    assert [entry.name for entry in path.parent.iterdir() if entry.suffix != ".lock"] == ["statistics.json"]


def test_two_servers_merge_their_counts(path: Path, clock: Clock) -> None:
    one, other = Statistics(path, {}.get, clock), Statistics(path, {}.get, clock)
    for i in range(4):
        (one, other)[i % 2].answered("a.py", "x" * i, "value", 7.0)
        one.save()
        other.save()
    assert total(one)["answered"] == on_disk(path)["answered"] == 4


def test_concurrent_processes_lose_no_counts(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tinycopilot_server import statistics as s; s.LOCK_S = 60\n"
        "counted = s.Statistics(Path(sys.argv[1]), {}.get)\n"
        "for i in range(20): counted.answered('a.py', 'x' * i, 'value', 7.0); counted.save()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert on_disk(path)["answered"] == 60


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"kind": "x"}', '{"kind": "tinycopilot statistics", "version": 2, "days": {}}', "[" * 100_000]
    + [
        json.dumps({"kind": "tinycopilot statistics", "version": 1, "days": days})
        for days in (
            {"yesterday": empty_day()},
            {"2026-01-01": empty_day() | {"answered": -1}},
            {"2026-01-01": empty_day() | {"accepted": 10**400}},
            {"2026-01-01": empty_day() | {"latency": [0]}},
            {"2026-01-01": {}},
        )
    ],
)
def test_damaged_file_is_replaced(
    counted: Statistics, path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_text(content)
    counted.answered("a.py", "", "value", 7.0)
    with caplog.at_level(logging.WARNING):
        counted.save()
    assert "counting starts at zero" in caplog.text
    assert on_disk(path)["answered"] == 1


def test_failed_write_is_retried(counted: Statistics, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_module, "LOCK_S", 0.01)
    counted.answered("a.py", "", "value", 7.0)
    path.parent.mkdir()
    with FileLock(path.with_suffix(".lock")):
        counted.save()
    assert not path.exists()
    counted.answered("a.py", "x", "other", 7.0)
    counted.save()
    assert on_disk(path)["answered"] == 2


def test_file_that_cannot_be_read_now_is_not_replaced(
    counted: Statistics, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted.answered("a.py", "", "value", 7.0)
    counted.save()
    counted.answered("a.py", "x", "other", 7.0)
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise PermissionError(13, "used by another program")

        patch.setattr(statistics_module, "open_owned", refuse)
        counted.save()
        assert total(counted)["answered"] == 1  # the one that is not in the file yet
    counted.save()
    assert on_disk(path)["answered"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.timeout(10)
def test_pipe_in_place_of_the_file_is_not_opened(counted: Statistics, path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    counted.answered("a.py", "", "value", 7.0)
    counted.save()
    assert total(counted)["answered"] == 1
    counted.forget()
    assert not path.exists()


async def test_file_is_written_at_most_once_a_minute(counted: Statistics, path: Path, clock: Clock) -> None:
    counted.answered("a.py", "", "value", 7.0)
    counted.update()
    await asyncio.sleep(0.05)
    assert not path.exists()
    clock.now_s += SAVE_S
    counted.update()
    while not path.exists():
        await asyncio.sleep(0.01)
    counted.answered("a.py", "x", "other", 7.0)
    counted.update()
    await asyncio.sleep(0.05)
    assert on_disk(path)["answered"] == 1


def test_forget_deletes_everything(counted: Statistics, path: Path) -> None:
    counted.forget()  # nothing
    name = counted.answered("a.py", "", "value", 7.0)
    counted.save()
    counted.forget()
    counted.accepted(name)
    assert counted.days() == {}
    assert not path.exists()


def test_forget_without_a_home_folder() -> None:
    counted = Statistics(NO_HOME / "statistics.json", lambda _: None)
    counted.answered("a.py", "", "value", 7.0)
    counted.forget()
    assert counted.days() == {}


def test_old_days_and_old_offers_are_dropped(counted: Statistics) -> None:
    days = {f"{2000 + i // 336}-{i // 28 % 12 + 1:02}-{i % 28 + 1:02}": empty_day() for i in range(MAX_DAYS + 9)}
    assert list(added(days, {})) == sorted(days)[9:]
    first = counted.answered("a.py", "", "value", 7.0)
    for i in range(MAX_OFFERS):
        counted.answered("a.py", "x" * i, "value", 7.0)
    counted.accepted(first)
    assert total(counted)["accepted"] == 0


def test_summary_text(counted: Statistics, texts: dict[str, str]) -> None:
    assert in_words({}) == "Nothing has been counted yet."
    name = counted.answered("a.py", "x = ", "value", 7.0)
    counted.shown(name)
    counted.accepted(name)
    texts["a.py"] = "x = valid"
    counted.check_kept()
    other = counted.answered("a.py", "y = ", "other", 70.0)
    words = in_words(counted.days())
    assert "2 suggestions, 1 accepted (50%)." in words
    assert "5 characters accepted; 60% still present 30 s later." in words
    assert "Latency: 7.5 ms (p50), 87 ms (p95), rounded up by at most 25 %." in words
    counted.partly_accepted(other, 2)
    counted.answered("a.py", "z = ", "third", 250.0)
    words = in_words(counted.days())
    assert "3 suggestions, 1 accepted (33%), 1 in part." in words
    assert "Latency: 87 ms (p50), 265 ms (p95), rounded up by at most 25 %." in words
