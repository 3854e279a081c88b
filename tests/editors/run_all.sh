#!/bin/bash
# run_all.sh EDITORS_DIR SERVER_COMMAND...: run the tests of all editors that install_editors.sh has installed into
# EDITORS_DIR.
#
# The VS Code tests run in parallel with the others (each takes about one core); their output is printed last. Editors
# that are not installed are skipped and listed. If RETRY is set, a failed test is run a second time, and the summary lists
# the tests that passed only then. Exits with 1 if a test fails or no editor is installed.
set -uo pipefail

editors=$(realpath -m "${1:?EDITORS_DIR}")
shift
server=$(command -v "${1:?SERVER_COMMAND}") || { echo "program not found: $1" >&2; exit 2; }
set -- "$(realpath --no-symlinks "$server")" "${@:2}"
here=$(cd "$(dirname "$0")" && pwd)
file=$here/example/thermometer.py text="    for day, readings in sorted(read_days(args.path).i"
run=$(mktemp -d)
failed=() skipped=() flaky=() n_tests=0 vscode_job=

cleanup() {
  [ -z "$vscode_job" ] || { kill "$vscode_job"; kill -- "-$(cat "$run/vscode/pid")"; } 2> /dev/null
  rm -rf "$run"
}
trap cleanup EXIT

is_installed() {  # is_installed NAME FILE: whether FILE is in EDITORS_DIR; if not, record NAME as skipped
  [ -e "$editors/$2" ] && return
  skipped+=("$1")
  echo "SKIPPED $1: not in $editors (make editors; for older versions of Neovim, install_editors.sh)"
  return 1
}

run_test() {  # run_test NAME COMMAND...: run a test, and record its result
  local name=$1; shift
  echo "-- $name"
  n_tests=$((n_tests + 1))
  "$@" && return
  if [ -n "${RETRY:-}" ]; then
    echo "-- $name, second attempt"
    "$@" && { flaky+=("$name"); return; }
  fi
  failed+=("$name")
}

test_vscode() {  # test_vscode SERVER_COMMAND...: build the extension, start VS Code, and run its tests in a browser
  local port extension=$here/../../editors/vscode status=0
  export PATH=$editors/node/bin:$PATH EDITORS_DIR=$editors
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  (cd "$extension" && { [ -d node_modules ] || npm ci --silent --no-audit --no-fund; } && npm run --silent package) || return 1
  "$here/start_code_server.sh" "$editors" "$port" "$run/vscode" "$extension/tinycopilot.vsix" "$@" || return 1
  cp "$file" "$run/"
  node "$here/vscode_ghost_text.mjs" "$port" "$run/$(basename "$file")" "$text" "$run/vscode.png" || status=1
  kill -- "-$(cat "$run/vscode/pid")"
  return $status
}

wait_for_vscode() {  # wait_for_vscode SERVER_COMMAND...: wait for the background job; on a retry, run the tests again
  [ -n "$vscode_job" ] || { test_vscode "$@"; return; }
  local status=0
  wait "$vscode_job" || status=$?
  vscode_job=
  cat "$run/vscode.log"
  return $status
}

if is_installed "VS Code" vscode/done; then
  test_vscode "$@" > "$run/vscode.log" 2>&1 &
  vscode_job=$!
fi
if is_installed "the headless browser" playwright/node_modules/playwright-core; then
  run_test "HTML pages of explain and train --watch" env EDITORS_DIR="$editors" "$editors/node/bin/node" "$here/explain_page.mjs" "$(dirname "$1")/tinycopilot"
fi
if is_installed Neovim nvim/run; then
  python=$editors/python/bin/python
  run_test "Neovim screen" "$python" "$here/neovim_ghost_text.py" "$editors/nvim/run" "$file" "$text" "$run/nvim.png" --server "$@"
  run_test "Neovim checks" "$python" "$here/neovim_checks.py" "$editors/nvim/run" --server "$@"
fi
for older in nvim-0.11 nvim-0.10 nvim-0.7; do
  [ -e "$editors/nvim/run" ] && is_installed "Neovim ${older#nvim-}" $older/run || continue
  run_test "Neovim ${older#nvim-}" "$editors/python/bin/python" "$here/neovim_older.py" "$editors/$older/run" --server "$@"
done
if is_installed Emacs emacs/run; then run_test Emacs python3 "$here/emacs_eglot.py" "$editors/emacs/run" --server "$@"; fi
if is_installed Helix helix/run; then run_test Helix python3 "$here/helix.py" "$editors/helix/run" --server "$@"; fi
if [ -n "$vscode_job" ]; then run_test "VS Code" wait_for_vscode "$@"; fi

echo
[ ${#skipped[@]} -eq 0 ] || printf 'skipped (not installed): %s\n' "${skipped[@]}"
if [ $n_tests -eq 0 ]; then
  echo "no editor is installed in $editors; run: make editors" >&2
  exit 1
fi
[ ${#failed[@]} -eq 0 ] || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
[ ${#flaky[@]} -eq 0 ] || printf 'passed only on the second attempt: %s\n' "${flaky[@]}"
echo "all $n_tests passed"
