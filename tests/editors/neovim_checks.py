"""Run all checks of ghost text in a real Neovim in a real terminal.

    python neovim_checks.py NVIM --server COMMAND...

The checks are in neovim_typing.py, neovim_at_work.py and neovim_misused.py. Each edits its own file and prints one
line; a failure prints what was shown and what happened. Exits with 1 if any check fails. The requirements are those of
neovim_ghost_text.py. From the root of a clone:

    tests/editors/install_editors.sh .editors nvim
    .editors/python/bin/python tests/editors/neovim_checks.py .editors/nvim/run --server .venv/bin/tinycopilot-server
"""

import sys
import time
from collections.abc import Callable

import neovim_at_work
import neovim_misused
import neovim_typing
from neovim_editor import FAILURES, end_of_log, opened, parser_of
from neovim_user import PROJECT, User


def main() -> int:
    parser = parser_of("Use tinycopilot in real Neovim as its users do.")
    parser.add_argument("--only", default="", help="the checks whose names contain this")
    arguments = parser.parse_args()
    # Later checks use the counts of the first.
    all_checks = neovim_typing.CHECKS + neovim_at_work.CHECKS + neovim_misused.CHECKS
    # What the server learns from the other checks' keys makes it less sure of several lines.
    all_checks.sort(key=lambda one: one is not neovim_at_work.first_line_of_several_and_then_the_others)
    checks = [one for one in all_checks if arguments.only in one.__name__]
    if not checks:
        parser.error(f"no check's name contains {arguments.only}")
    try:
        with opened(arguments, PROJECT) as (editor, project):
            editor.wait_until_ready()
            user = User(editor, project)
            passed = [passes(check, user) for check in checks]
            if not all(passed):
                print(end_of_log(editor), file=sys.stderr)
    except FAILURES as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0 if all(passed) else 1


def passes(check: Callable[[User], None], user: User) -> bool:
    """Run a check, print its result, and return whether it passes."""
    since = time.monotonic()
    user.editor.watch(60)
    try:
        check(user)
    except FAILURES as error:
        print(f"FAILED  {check.__name__}: {type(error).__name__}: {error}", flush=True)
        return False
    print(f"ok      {check.__name__} ({time.monotonic() - since:.1f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
