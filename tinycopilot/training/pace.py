"""From minutes to characters: how long a step takes here, tried on a network that is thrown away."""

import time
from collections.abc import Callable, Sequence

from tinycopilot.training.batches import Reader
from tinycopilot.training.distributed import Team
from tinycopilot.training.learner import Learner
from tinycopilot.training.recipe import Plan, Stage
from tinycopilot.training.trainer import train

STEPS_SHARE = 0.94
"""Of the minutes, so much is for steps; looks at the held-out text, checkpoints and the saving take the rest."""
N_TRIED = 2


def chars_in(
    seconds: float, stages: Sequence[Stage], make_learner: Callable[[], Learner], reader: Reader, team: Team
) -> float:
    """How many characters can be read in `seconds`, the trying included, as far as the first few steps can tell."""
    began = time.perf_counter()
    seconds_per_char = 0.0
    learner = make_learner()
    for stage in stages:
        _seconds_of(1, stage, learner, reader, team)  # the first one is slower: memory is taken, code compiled
        seconds_per_char += stage.share * _seconds_of(N_TRIED, stage, learner, reader, team)
    left = seconds * STEPS_SHARE - (time.perf_counter() - began)
    return team.answer(lambda: max(0.0, left) / seconds_per_char)


def _seconds_of(n_steps: int, stage: Stage, learner: Learner, reader: Reader, team: Team) -> float:
    """What a character of `stage` takes, over `n_steps` steps."""
    done = learner.log.n_steps
    train(learner, Plan((stage,), (done + n_steps,)), reader, team=team)
    block = learner.log.blocks[-1]
    before = learner.log.blocks[-2].seconds if done else 0.0
    return (block.seconds - before) / (n_steps * stage.batch * stage.window)
