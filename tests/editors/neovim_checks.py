"""Run all checks of ghost text in a real Neovim in a real terminal.

    python neovim_checks.py NVIM --server COMMAND...

The checks are in neovim_typing.py, neovim_features.py and neovim_errors.py. Each edits its own file. One
line is printed for each check, with the reason if it fails. Exits with 1 if any check fails. For the requirements, see
neovim_ghost_text.py. From the root of a clone:

    tests/editors/install_editors.sh .editors nvim
    .editors/python/bin/python tests/editors/neovim_checks.py .editors/nvim/run --server .venv/bin/tinycopilot-server
"""

import sys
import time
from collections.abc import Callable

import neovim_errors  # noqa: F401 (adds its checks)
import neovim_features
import neovim_typing  # noqa: F401 (adds its checks)
from neovim_editor import FAILURES, argument_parser, log_tail, start_neovim
from neovim_user import CHECKS, PROJECT, User


def main() -> int:
    parser = argument_parser("Run all checks of tinycopilot in a real Neovim.")
    parser.add_argument("--only", default="", help="run only the checks whose names contain this")
    arguments = parser.parse_args()
    # The order matters: the check of the statistics needs the suggestions that earlier checks have accepted.
    order = ["neovim_typing", "neovim_features", "neovim_errors"]
    # This one runs first: what the server learns during the others lowers its confidence in multi-line suggestions.
    first = neovim_features.first_line_then_the_rest
    checks = sorted(CHECKS, key=lambda check: (check is not first, order.index(check.__module__)))
    checks = [check for check in checks if arguments.only in check.__name__]
    if not checks:
        parser.error(f"no check has a name that contains {arguments.only}")
    try:
        with start_neovim(arguments, PROJECT) as (editor, project):
            editor.wait_until_ready()
            user = User(editor, project)
            passed = [run_check(check, user) for check in checks]
            if not all(passed):
                print(log_tail(editor), file=sys.stderr)
    except FAILURES as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0 if all(passed) else 1


def run_check(check: Callable[[User], None], user: User) -> bool:
    """Run a check, print its result, and return whether it has passed."""
    start_s = time.monotonic()
    user.editor.set_watchdog(60)
    try:
        check(user)
    except FAILURES as error:
        print(f"FAILED  {check.__name__}: {type(error).__name__}: {error}", flush=True)
        return False
    print(f"ok      {check.__name__} ({time.monotonic() - start_s:.1f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
