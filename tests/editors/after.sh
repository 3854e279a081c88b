#!/bin/bash
# after.sh EDITORS_DIR SERVER COMMAND...: COMMAND, and then the tests of editors, which are installed meanwhile if they can be.
#
# They can be on Debian 12, x86-64, as root, with a network: see install_editors.sh. Elsewhere those that are in EDITORS_DIR
# are tested; if none is there, it says why, and that is no failure.
set -uo pipefail

editors=${1:?EDITORS_DIR} server=${2:?SERVER}
shift 2
here=$(cd "$(dirname "$0")" && pwd)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

installing=
if [ "$(uname -sm)" = "Linux x86_64" ] && [ "$(id -u)" = 0 ] && command -v apt-get npm > /dev/null; then
  "$here/install_editors.sh" "$editors" > "$log" 2>&1 &
  installing=$!
else
  echo "not root on a Debian, x86-64, with apt-get and npm" > "$log"
fi

"$@"
status=$?
if [ $status -ne 0 ]; then
  [ -z "$installing" ] || kill "$installing" 2> /dev/null
  exit $status
fi
if [ -n "$installing" ] && ! wait "$installing" || [ -z "$installing" ]; then
  echo "The editors were not installed ($(tail -n 1 "$log"))."
  compgen -G "$editors/*/run" > /dev/null || { echo "SKIPPED the tests of editors (make editors, make test-editors)"; exit 0; }
fi
# A failure in ten rounds is to be seen, and to stop nobody.
SECOND_TRY=yes exec "$here/run_all.sh" "$editors" "$server"
