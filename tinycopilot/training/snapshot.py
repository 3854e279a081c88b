"""Save the weights of an unfinished run as a model, while the run continues."""

import torch

from tinycopilot import UserError
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.paths import model_to_save
from tinycopilot.training.checkpoint import can_resume, load_run, run_folder
from tinycopilot.training.finalize import provenance
from tinycopilot.training.saving import check_replaceable, save_pair


def save_snapshot(model_path: str | None, tokenizer_path: str | None, file: str) -> str:
    """Save the (averaged) weights of the newest checkpoint to `file`, and the tokenizer next to it.

    The run, whose model will be saved at `model_path`, is not changed, and may be active. Returns a line to print.
    Raises UserError.
    """
    folder = run_folder(model_to_save(model_path, tokenizer_path))
    if not can_resume(folder):
        raise UserError(f"{folder}: no unfinished run here; give the --model-path of one")
    paths = model_to_save(file)
    check_replaceable(paths)
    run, snapshot = load_run(folder)
    log = snapshot["log"]
    model = TinyGPT(run.shape)
    try:
        model.load_state_dict(snapshot["average"] or snapshot["weights"])
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{folder}: the checkpoint is from another version ({str(error).splitlines()[0]})") from None
    facts = run.facts | provenance(run, log, torch.device("cpu"), world_size=1)
    facts |= {"held_out_bits": log.evaluations[-1].bits if log.evaluations else None, "best_step": log.n_steps}
    save_pair(paths, model, run.tokenizer, facts)
    weights = "averaged weights" if snapshot["average"] else "weights"
    return f"{paths.model}: {weights} after step {log.n_steps:,}, {log.n_chars:,} characters"
