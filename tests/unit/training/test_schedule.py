import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.muon import muon_momentum
from tinycopilot.training.schedule import Schedule, Stage, lr_multiplier, stages_for
from tinycopilot.training.train_config import SIZES, TrainConfig
from tinycopilot.training.train_state import make_optimizers

STAGES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 9000)), min_size=1, max_size=4).map(
    lambda rows: [*(Stage(*row) for row in rows[:-1]), Stage(*rows[-1][:2])]
)


@given(STAGES, st.integers(0, 20_000))
def test_plan_reads_the_requested_characters(stages: list[Stage], n_chars: int) -> None:
    schedule = Schedule.over(n_chars, stages)
    assert schedule.n_steps >= 1
    assert abs(schedule.n_chars - n_chars) <= sum(stage.batch * stage.window + 1 for stage in stages)
    read = 0
    seen = Counter[int]()
    for step in range(schedule.n_steps):
        stage, first, share = schedule.at(step)
        assert schedule.n_chars_after(step) == read
        assert share == read / schedule.n_chars
        assert first == seen[stage.window]  # a larger batch continues where the smaller ones ended
        seen[stage.window] += stage.batch
        read += stage.batch * stage.window
    assert read == schedule.n_chars
    with pytest.raises(IndexError):
        schedule.at(schedule.n_steps)


@pytest.mark.parametrize(("adapting", "is_long"), [(False, False), (True, False), (False, True)])
def test_windows_are_whole_and_batches_grow(adapting: bool, is_long: bool) -> None:
    stages = stages_for(256, adapting=adapting, is_long=is_long)
    assert {stage.window for stage in stages} == {256}
    assert [stage.batch for stage in stages] == sorted(stage.batch for stage in stages)
    assert stages[-1].n_chars == math.inf


@pytest.mark.parametrize(("window", "batch"), [(32, 16), (256, 16), (512, 8), (8192, 1)])
def test_fine_tuning_step_reads_as_much_with_any_window(window: int, batch: int) -> None:
    assert stages_for(window, adapting=True, is_long=False) == (Stage(batch, window),)


def test_short_run_uses_small_batches_only() -> None:
    assert Schedule.over(500_000, stages_for(256, adapting=False, is_long=False)).steps == (488, 0)
    assert Schedule.over(0, stages_for(256, adapting=False, is_long=False)).steps == (1, 0)


def test_evaluations_are_few_and_the_last_is_at_the_end() -> None:
    long = Schedule.over(10_000_000, stages_for(256, adapting=False, is_long=False))
    assert len(long.eval_steps(20_000)) == 10
    assert max(long.eval_steps(20_000)) == long.n_steps
    short = Schedule.over(500_000, stages_for(256, adapting=False, is_long=False))
    assert short.eval_steps(20_000) == {short.n_steps}


def test_sizes() -> None:
    millions = {name: GPTConfig(100, **size.shape(), conv_width=3).n_parameters / 1e6 for name, size in SIZES.items()}
    assert {name: round(m, 1) for name, m in millions.items()} == {
        "nano": 0.8,
        "small": 4.8,
        "base": 10.7,
        "large": 25.3,
    }
    assert [name for name, size in SIZES.items() if not size.is_long] == ["nano"]


def test_schedule() -> None:
    rates = [lr_multiplier(step, step / 1000, 0.6) for step in range(1000)]
    assert rates[0] == 0.02
    assert max(rates) == rates[49] == rates[400] == 1
    assert rates[700] == pytest.approx(0.5)
    assert rates[999] == pytest.approx(1 / 600)
    assert [lr_multiplier(step, step / 1000, 0.3) for step in (699, 850)] == pytest.approx([1, 0.5])
    assert muon_momentum(0) == 0.85
    assert muon_momentum(300) == muon_momentum(999) == pytest.approx(0.95)


def test_each_weight_has_one_optimizer() -> None:
    fresh: nn.Module = TinyGPT(GPTConfig(50, 2, 2, 16, 8, conv_width=3))
    muon, adam = make_optimizers(fresh, TrainConfig(), DistContext())
    moved = [[id(p) for group in o.param_groups for p in group["params"]] for o in (muon, adam)]
    assert sorted(moved[0] + moved[1]) == sorted(map(id, fresh.parameters()))
    assert len(moved[0]) == 2 * 4  # qkv, o_proj, up and down of each block
