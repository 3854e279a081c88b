"""Test completion in Emacs through Eglot, with the settings in editors/README.md.

    python emacs_eglot.py EMACS --server COMMAND...

Open a file in `emacs -Q --batch` whose last line has an emoji before the cursor; Eglot uses utf-32 positions. Check
that completion-at-point lists code that occurs above, and that accepting it inserts it in the right place and changes
nothing else. Exits with 1 on failure.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from menu import EXPECTED, PREFIX, TYPED, check_file, environment, new_project, settings

DRIVER = r"""
(setq eglot-sync-connect 10 eglot-connect-timeout 20 make-backup-files nil)
(find-file (getenv "FILE"))
(let ((inhibit-message t)) (call-interactively #'eglot))
(unless (eglot-current-server) (error "Eglot did not start the configured server"))
(unless (string-match-p "tinycopilot-server" (format "%S" (process-command (jsonrpc--process (eglot-current-server)))))
  (error "another server was started"))
(goto-char (point-max))
(when (bolp) (backward-char))
(insert (getenv "TYPED"))
(let ((deadline (+ (float-time) 20)) entry exit start end)
  (while (and (not entry) (< (float-time) deadline))  ; the model may be loading
    (accept-process-output nil 0.1)
    (pcase-let ((`(,from ,to ,table . ,properties) (eglot-completion-at-point)))
      (let ((all (all-completions (buffer-substring from to) table)))
        (setq entry (seq-find (lambda (each) (string-prefix-p (getenv "EXPECTED") each)) all)
              exit (plist-get properties :exit-function) start from end to))))
  (unless entry (error "no entry starts with %s" (getenv "EXPECTED")))
  (message "listed: %s" entry)
  (delete-region start end)  ; like completion-in-region and the menus: insert, then call the exit function
  (insert entry)
  (funcall exit entry 'finished))
(let ((require-final-newline nil) (mode-require-final-newline nil)) (save-buffer))
(let ((state (plist-get (tinycopilot-pause) :state)))
  (unless (equal state "off") (error "after tinycopilot-pause the server is %s" state)))
(eglot-shutdown (eglot-current-server))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Test completion in Emacs through Eglot.")
    parser.add_argument("emacs", help="Emacs's program")
    parser.add_argument(
        "--server", nargs=argparse.REMAINDER, default=["tinycopilot-server"], help="the server's command"
    )
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="emacs"))
    try:
        file = new_project(folder)
        init, driver = folder / "init.el", folder / "driver.el"
        init.write_text(settings("elisp"), "utf-8")
        driver.write_text(DRIVER, "utf-8")
        variables = environment(folder, arguments.server)
        variables |= {"FILE": str(file), "TYPED": TYPED, "EXPECTED": EXPECTED, "LC_ALL": "C.UTF-8"}
        command = [arguments.emacs, "-Q", "--batch", "-l", str(init), "-l", str(driver)]
        run = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False, env=variables
        )
        if run.returncode:
            raise AssertionError(f"Emacs exited with {run.returncode}:\n{run.stderr[-2000:]}")
        line = check_file(file)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"FAILED  Emacs: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"ok      Emacs: completed to {line!r} from {PREFIX.splitlines()[-1] + TYPED!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
