"""`tinycopilot demo`: type a file into the language server over stdio, as an editor does, and print its suggestions."""

import asyncio
import statistics
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tinycopilot.client.stdio import Editor, running_server
from tinycopilot.extras import in_command
from tinycopilot.paths import describe_model, find_model

OPENED = '''\
"""Average the readings of a thermometer, day by day."""

import sys
from collections import defaultdict
from pathlib import Path

'''

TYPED = """\

def read_days(path):
    days = defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.strip():
                continue
            day, celsius = line.split()
            days[day].append(float(celsius))
    return days


def main():
    if len(sys.argv) != 2:
        print("usage: thermometer.py FILE", file=sys.stderr)
        return 2
    for day, readings in sorted(read_days(Path(sys.argv[1])).items()):
        print(f"{day}: {sum(readings) / len(readings):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
"""

CONNECT = """\
Try it in this terminal: {program} play
Set up your editor. The server is {server}
  VS Code   cd {vscode} && npm ci && npm run package
            Then "Extensions: Install from VSIX..." (tinycopilot.vsix). It finds the server in its clone.
  Neovim    vim.opt.rtp:prepend("{nvim}")   (0.12: ghost text, 0.11: popup)
            require("tinycopilot").setup {{ cmd = {{ "{lua_server}" }} }}
Measure how many keystrokes it would have saved in your project (add --ext for languages other than Python):
  {program} eval PATH/TO/YOUR/PROJECT
Train on your own code: {program} train --corpus stdlib PATH/TO/YOUR/CODE --minutes 10"""


async def _type_it_all(editor: Editor, console: Console) -> tuple[int, int]:
    """Type TYPED, character by character; accept each suggestion that is correct as a whole, with one key.

    Returns the number of keys, and the number of characters from suggestions.
    """
    left, n_keys, n_accepted_chars, expected = TYPED, 0, 0, ""
    while left:
        ghost = await editor.suggestion()
        accepted = bool(ghost) and left.startswith(ghost)
        if ghost and ghost != expected:  # the rest of the last suggestion is not printed again
            line = editor.text.rsplit("\n", 1)[-1]
            note = f"   {editor.answer_ms[-1]:.1f} ms" + ("   <Tab>" if accepted else "")
            console.print(Text.assemble(("  " + line), (ghost, "dim italic"), (note, "cyan")))
        step = ghost if accepted else left[0]
        expected = ghost[1:] if ghost[:1] == step else ""
        editor.type(step)
        left = left[len(step) :]
        n_keys += 1
        n_accepted_chars += len(ghost) if accepted else 0
    return n_keys, n_accepted_chars


async def _session(console: Console, model_path: str | None, tokenizer_path: str | None) -> None:
    async with running_server(model_path, tokenizer_path) as server:
        editor = Editor(server.client, "thermometer.py", OPENED)
        n_keys, n_accepted = await _type_it_all(editor, console)
    times = sorted(editor.answer_ms)
    console.print(
        f"\n{len(TYPED)} characters with {n_keys} keystrokes: {n_accepted} came from suggestions. Latency over stdio: "
        f"{statistics.median(times):.1f} ms (p50), {times[int(0.95 * len(times))]:.1f} ms (p95)."
    )


def run_demo(model_path: str | None = None, tokenizer_path: str | None = None) -> None:
    """Run the demo. Raises UserError if the server has no model."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(describe_model(*find_model(model_path, tokenizer_path)), markup=False)
    console.print(
        "A simulated editor starts the language server and types into thermometer.py. Suggestions are dim; <Tab> marks "
        "those that it accepts.\n"
    )
    asyncio.run(_session(console, model_path, tokenizer_path))
    program, server = (Path(sys.executable).with_name(name) for name in ("tinycopilot", "tinycopilot-server"))
    editors = Path(__file__).parents[2] / "editors"
    where = editors.as_posix() if editors.is_dir() else "PATH/TO/THE/CLONE/editors"
    plugins = {"vscode": in_command(f"{where}/vscode"), "nvim": f"{where}/nvim", "lua_server": server.as_posix()}
    console.print(CONNECT.format(program=in_command(str(program)), server=server, **plugins), markup=False)
