"""The `eval` command: keystrokes that suggestions would have saved while typing existing code."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tinycopilot import UserError, __version__
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.evaluation.excerpts import from_list, from_paths
from tinycopilot.evaluation.infill import KINDS, evaluate_infill, table
from tinycopilot.evaluation.replay import replay_all, scores_by_file
from tinycopilot.evaluation.report import page as report_page
from tinycopilot.evaluation.score import Score, ShownSuggestion, calibration
from tinycopilot.files.walking import normalize_suffixes
from tinycopilot.page_file import check_page, write_page
from tinycopilot.paths import Origin, describe_model, find_model, folder_to_index, real_path, user_path

N_EXAMPLES = 5


def run_evaluation(
    paths: Sequence[str],
    *,
    listing: str | None,
    workspace: str | None,
    ext: Sequence[str] | None,
    max_chars: int,
    eagerness: float,
    infill: bool,
    as_json: bool,
    report: str | None,
    command: str,
    model_path: str | None,
    tokenizer_path: str | None,
    say: Callable[[str], None],
    answer: Callable[[str], None],
) -> None:
    """Run the command; `say` prints progress, `answer` the results, `command` is the command line. Raises UserError.

    If the report cannot be written, the results are still printed; if they cannot be printed, it is still written.
    """
    if infill and report is not None:
        raise UserError("--infill writes no report; leave out --report")
    page = real_path(report) if report is not None else None
    if page:
        check_page(page, "--report")
    root = folder_to_index(workspace or None)
    suffixes = normalize_suffixes(ext or ["py"])
    left_out: tuple[str, ...] = ()
    if listing:
        if len(paths) != 1:
            raise UserError("--list needs exactly one PATH: the folder that contains the listed files")
        excerpts = from_list(user_path(listing), real_path(paths[0]), root)
    else:
        excerpts, left_out = from_paths(list(map(real_path, paths)), suffixes, max_chars, root)
    if page and str(page) in {excerpt.name for excerpt in excerpts}:
        raise UserError(f"{page}: is one of the files to replay; use another --report")
    workspaces = {excerpt.workspace for excerpt in excerpts}  # with only one, its adapted model is used
    one = str(*workspaces) if len(workspaces) == 1 else None
    model, origin = find_model(model_path, tokenizer_path, workspace=one)
    say(describe_model(model, origin))
    if origin is Origin.WORKSPACE:
        say("the model was trained on files in this folder; on unseen code, it saves less")
    for line in left_out:
        say(line)
    engine = Engine.load(model, CompleterSettings(eagerness=eagerness))
    if infill:
        score = evaluate_infill(engine, excerpts, suffixes, say)
        if not score.of(*KINDS)["gaps"]:
            raise UserError("nothing to remove: --infill expects Python files with complete statements")
        answer(json.dumps(score.to_json()) if as_json else table(score))
        return
    facts = _facts(model.model, engine.settings)
    replays = replay_all(engine, excerpts, suffixes, say)
    scores = scores_by_file(replays)
    total = sum(scores.values(), Score())
    try:
        answer(json.dumps({"files": len(scores), **total.figures()}) if as_json else tables(scores, total))
    finally:
        if page:
            write_page(page, report_page(replays, command=command, facts=facts))
            say(f"report: {page}")


def _facts(model: Path, settings: CompleterSettings) -> list[tuple[str, str]]:
    """Return model, settings and version, for the report."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    shown = f"eagerness {settings.eagerness:g}, at most {settings.max_lines} lines and {settings.max_chars} characters"
    return [
        ("model", f"{model.name}, SHA-256 {digest[:16]}"),
        ("suggestions", f"{shown}, confidence at least {100 * settings.least_likely(1):.0f} %"),
        ("tinycopilot", __version__),
    ]


def tables(scores: Mapping[str, Score], total: Score) -> str:
    """Return a table by file, the calibration, and the best and worst suggestions."""
    lines = [f"{'characters':>10} {'bits/char':>9} {'saved':>6} {'shown/100':>9} {'accepted':>8}  file"]
    rows = [*scores.items()]
    if len(rows) > 1:
        rows.append(("all files", total))
    for name, score in rows:
        figures = score.figures()
        bits = figures["bits_per_char"]["mixed"]
        saved, accepted = _percent(figures["keystrokes_saved"]["net"]), _percent(figures["accepted_share"])
        shown = "-" if figures["shown_per_100"] is None else f"{figures['shown_per_100']:.1f}"
        lines.append(f"{figures['chars']:10,} {bits:9.3f} {saved:>6} {shown:>9} {accepted:>8}  {name}")
    lines += [
        "",
        "saved: keystrokes, less 0.1 for each suggestion shown; shown/100: suggestions per 100 characters;",
        "accepted: share of the suggestions that were right",
        "",
    ]
    lines += _calibration_lines(total)
    taken = sorted((s for s in total.shown if s.accepted), key=lambda s: -len(s.suggestion.text))
    wrong = sorted((s for s in total.shown if not s.accepted), key=lambda s: (s.n_correct, -s.suggestion.confidence))
    for title, some in (
        ("best suggestions", taken),
        ("worst suggestions: wrong at the first character, highest confidence", wrong),
    ):
        if some:
            lines += ["", f"{title} (typed [suggested], line, file)", *map(_in_place, some[:N_EXAMPLES])]
    return "\n".join(lines)


def _calibration_lines(score: Score) -> list[str]:
    if not score.shown:
        return ["no suggestion was shown"]
    bins, figures = calibration(score.shown), score.figures()
    error, errors = figures["calibration_error"], figures["calibration_error_by_context"]
    said = "  ".join(f"{b.confidence:5.2f}" for b in bins)
    true = "  ".join(f"{b.right:5.2f}" for b in bins)
    by_context = ", ".join(f"{name} {_percent(share)}" for name, share in errors.items())
    return [
        f"confidence  {said}",
        f"correct     {true}",
        f"expected calibration error: {_percent(error)} (by context: {by_context})",
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _in_place(shown: ShownSuggestion) -> str:
    text = shown.suggestion.text.replace("\n", "\\n")
    place = f"(line {shown.line}, {shown.name}; confidence {shown.suggestion.confidence:.2f})"
    return f"  {shown.before.lstrip()}[{text}]  {place}"
