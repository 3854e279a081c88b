"""Suggestions in other languages: `tinycopilot eval` on a package of each that the bundled model never read.

    python benchmarks/heldout_languages.py FOLDER [--eagerness X] [--model_path FILE] [--only LANGUAGE ...] [--write]

Packages are fetched once, by pip, npm and apt-get, at the versions in heldout_languages.json, into FOLDER/downloads
(see model_data.py for what to do if that fails). Of each, 10,000 characters are typed, with the rest of it indexed.
Prints a table and one JSON line. --write stores the digests of new packages in heldout_languages.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from model_data import Source, get, unpack

LISTING = Path(__file__).with_name("heldout_languages.json")
N_CHARS = 10_000


def evaluate(source: Source, folder: Path, flags: list[str]) -> dict[str, Any]:
    """The figures of `tinycopilot eval` for the part of a package that `source` selects."""
    unpack(
        get(source, folder / "downloads"), place := folder / source["language"], {**source, "languages": source["ext"]}
    )
    command = [sys.executable, "-m", "tinycopilot", "eval", str(place), "--ext", *source["ext"], "--json"]
    run = subprocess.run(
        [*command, "--max_chars", str(N_CHARS), *flags],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return {"n_workspace_chars": sum(len(path.read_bytes()) for path in place.rglob(f"*{source['ext'][0]}"))} | figures


HEADER = """\
| Language | Workspace | Net keystrokes saved | Accepted | Bits per character | Network alone |
|---|---|---|---|---|---|"""


def row(source: Source, figures: dict[str, Any]) -> str:
    """A row of the Markdown table."""
    bits, size = figures["bits_per_char"], figures["n_workspace_chars"] / 1e6
    return (
        f"| {source['language']} | {source['name']} {source['version']} ({size:.1f} MB) "
        f"| {figures['keystrokes_saved']['net']:.1%} | {figures['accepted_share']:.1%} "
        f"| {bits['mixed']:.2f} | {bits['network']:.2f} |"
    )


def main() -> None:
    """Fetch, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder outside the repository")
    parser.add_argument("--eagerness", default="0.25")
    parser.add_argument("--model_path")
    parser.add_argument("--only", nargs="+", help="languages (default: all)")
    parser.add_argument("--write", action="store_true", help="store digests in heldout_languages.json")
    arguments = parser.parse_args()
    listed = json.loads(LISTING.read_text("utf-8"))
    sources = [source for source in listed if not arguments.only or source["language"] in arguments.only]
    flags = ["--eagerness", arguments.eagerness]
    flags += ["--model_path", arguments.model_path] if arguments.model_path else []
    print(HEADER)
    results = {}
    for source in sources:
        results[source["language"]] = figures = evaluate(source, arguments.folder, flags)
        print(row(source, figures), flush=True)
    if arguments.write:
        LISTING.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
