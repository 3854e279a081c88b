#!/bin/bash
# run_all.sh EDITORS_DIR SERVER_COMMAND...: every test of an editor that install_editors.sh has put into EDITORS_DIR.
#
# VS Code is tested while the others are, and reported after them: each of the two takes about one core. An editor that is
# not there is skipped, and named. With SECOND_TRY set, what fails is tried once more, and that is said. It exits with 1 if
# a test fails, or if no editor is there.
set -uo pipefail

editors=$(realpath -m "${1:?EDITORS_DIR}")
shift
server=$(command -v "${1:?SERVER_COMMAND}") || { echo "there is no program $1" >&2; exit 2; }
set -- "$(realpath --no-symlinks "$server")" "${@:2}"
here=$(cd "$(dirname "$0")" && pwd)
file=$here/example/thermometer.py text="    for day, readings in sorted(read_days(args.path).i"
run=$(mktemp -d)
failed=() skipped=() second=() n_tests=0 vscode=

ended() {
  [ -z "$vscode" ] || { kill "$vscode"; kill -- "-$(cat "$run/vscode/pid")"; } 2> /dev/null
  rm -rf "$run"
}
trap ended EXIT

installed() {  # installed NAME FILE: whether the editor is there
  [ -e "$editors/$2" ] && return
  skipped+=("$1")
  echo "SKIPPED $1: not installed in $editors (make editors; for older ones, install_editors.sh)"
  return 1
}

tried() {  # tried NAME COMMAND...: run it
  local name=$1; shift
  echo "-- $name"
  n_tests=$((n_tests + 1))
  "$@" && return
  if [ -n "${SECOND_TRY:-}" ]; then
    echo "-- $name, tried again"
    "$@" && { second+=("$name"); return; }
  fi
  failed+=("$name")
}

in_vscode() {  # in_vscode SERVER_COMMAND...: the extension is built, VS Code is served, and a browser types in it
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

begun_vscode() {  # begun_vscode SERVER_COMMAND...: wait for the one that runs beside the others; the second time, run it
  [ -n "$vscode" ] || { in_vscode "$@"; return; }
  local status=0
  wait "$vscode" || status=$?
  vscode=
  cat "$run/vscode.log"
  return $status
}

if installed "VS Code" vscode/done; then
  in_vscode "$@" > "$run/vscode.log" 2>&1 &
  vscode=$!
fi
if installed "the browser" playwright/node_modules/playwright-core; then
  tried "The pages of explain and train --watch" env EDITORS_DIR="$editors" "$editors/node/bin/node" "$here/explain_page.mjs" "$(dirname "$1")/tinycopilot"
fi
if installed Neovim nvim/run; then
  python=$editors/python/bin/python
  tried "Neovim, on its screen" "$python" "$here/neovim_ghost_text.py" "$editors/nvim/run" "$file" "$text" "$run/nvim.png" --server "$@"
  tried "Neovim, check by check" "$python" "$here/neovim_checks.py" "$editors/nvim/run" --server "$@"
fi
for older in nvim-0.11 nvim-0.10 nvim-0.7; do
  [ -e "$editors/nvim/run" ] && installed "Neovim ${older#nvim-}" $older/run || continue
  tried "Neovim ${older#nvim-}" "$editors/python/bin/python" "$here/neovim_older.py" "$editors/$older/run" --server "$@"
done
if installed Emacs emacs/run; then tried Emacs python3 "$here/emacs_eglot.py" "$editors/emacs/run" --server "$@"; fi
if installed Helix helix/run; then tried Helix python3 "$here/helix.py" "$editors/helix/run" --server "$@"; fi
if [ -n "$vscode" ]; then tried "VS Code" begun_vscode "$@"; fi

echo
[ ${#skipped[@]} -eq 0 ] || printf 'skipped, not installed: %s\n' "${skipped[@]}"
if [ $n_tests -eq 0 ]; then
  echo "no editor is installed in $editors: make editors" >&2
  exit 1
fi
[ ${#failed[@]} -eq 0 ] || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }
[ ${#second[@]} -eq 0 ] || printf 'at the second try only: %s\n' "${second[@]}"
echo "all $n_tests passed"
