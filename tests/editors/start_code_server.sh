#!/bin/bash
# start_code_server.sh EDITORS_DIR PORT RUN_DIR EXTENSION.vsix [SERVER_COMMAND...]: start VS Code on loopback.
#
# EDITORS_DIR is the folder of install_editors.sh. SERVER_COMMAND becomes the setting tinycopilot.serverCommand; without it,
# the extension searches the PATH. RUN_DIR is deleted first (otherwise VS Code would restore the editors of the previous
# run); it then contains the profile, the log and the process id. To stop VS Code:  kill -- -$(cat RUN_DIR/pid)
set -euo pipefail

editors=$(realpath "${1:?EDITORS_DIR}") port=${2:?PORT} run=$(realpath -m "${3:?RUN_DIR}") extension=$(realpath "${4:?EXTENSION.vsix}")
shift 4
node=$editors/node/bin/node
code=("$node" "$editors/vscode/node_modules/code-server/out/node/entry.js"
  --user-data-dir "$run/user" --extensions-dir "$run/extensions")

rm -rf "$run"
mkdir -p "$run/user/User" "$run/home"

# Show only the editor: no welcome page, hints, notifications or trust dialog.
"$node" - "$@" > "$run/user/User/settings.json" << 'SETTINGS'
console.log(JSON.stringify({
  'tinycopilot.eagerness': 0.5, // more suggestions than by default
  'tinycopilot.serverCommand': process.argv.slice(2),
  'breadcrumbs.enabled': false,
  'chat.disableAIFeatures': true,
  'editor.accessibilitySupport': 'off',
  'editor.minimap.enabled': false,
  'editor.stickyScroll.enabled': false,
  'extensions.ignoreRecommendations': true,
  'files.autoSave': 'off',
  'files.associations': { '.env': 'python' },
  'git.enabled': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'window.commandCenter': false,
  'window.restoreWindows': 'none',
  'workbench.activityBar.location': 'hidden',
  'workbench.colorTheme': 'Dark Modern',
  'workbench.enableExperiments': false,
  'workbench.layoutControl.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
}, null, 2));
SETTINGS
# Key bindings for commands that the tests cannot run through a default key, a menu or the palette.
cat > "$run/user/User/keybindings.json" << 'KEYS'
[
  { "key": "ctrl+alt+l", "command": "editor.action.inlineSuggest.acceptNextLine", "when": "inlineSuggestionVisible" },
  { "key": "ctrl+alt+t", "command": "tinycopilot.trainWorkspace", "args": { "minutes": 0.3 } },
  { "key": "ctrl+alt+o", "command": "tinycopilot.openLog" }
]
KEYS

export EXTENSIONS_GALLERY='{}'  # no requests to an extension marketplace
export HOME=$run/home XDG_CONFIG_HOME=$run/home/.config XDG_DATA_HOME=$run/home/.local/share
"${code[@]}" --install-extension "$extension" > "$run/install.log" 2>&1 || { cat "$run/install.log" >&2; exit 1; }
# In its own process group, so that one kill also stops the extension host and the language server.
setsid "${code[@]}" --auth none --bind-addr "127.0.0.1:$port" --disable-telemetry --disable-update-check \
  --disable-workspace-trust --disable-getting-started-override > "$run/log" 2>&1 < /dev/null &
echo $! > "$run/pid"

for _ in $(seq 150); do
  curl --silent --fail --output /dev/null "http://127.0.0.1:$port/healthz" && exit 0
  sleep 0.2
done
echo "VS Code did not answer on port $port; $run/log:" >&2
tail -n 20 "$run/log" >&2
exit 1
