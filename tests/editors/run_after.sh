#!/bin/bash
# run_after.sh EDITORS_DIR SERVER COMMAND...: run COMMAND, then the editor tests. If COMMAND fails, exits with its
# status.
#
# Meanwhile, missing editors are installed into EDITORS_DIR. That needs Debian 12 on x86-64, root and a network (see
# install_editors.sh). Otherwise, only the editors that are already in EDITORS_DIR are tested; if there are none, the
# editor tests are skipped, which is not a failure.
set -uo pipefail

editors=${1:?EDITORS_DIR} server=${2:?SERVER}
shift 2
here=$(cd "$(dirname "$0")" && pwd)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

installer=
if [ "$(uname -sm)" = "Linux x86_64" ] && [ "$(id -u)" = 0 ] && command -v apt-get npm > /dev/null; then
  "$here/install_editors.sh" "$editors" > "$log" 2>&1 &
  installer=$!
else
  echo "needs root on x86-64 Debian, with apt-get and npm" > "$log"
fi

"$@"
status=$?
if [ $status -ne 0 ]; then
  [ -z "$installer" ] || kill "$installer" 2> /dev/null
  exit $status
fi
if [ -n "$installer" ] && ! wait "$installer" || [ -z "$installer" ]; then
  echo "The editors were not installed ($(tail -n 1 "$log"))."
  compgen -G "$editors/*/run" > /dev/null || { echo "SKIPPED the editor tests (make editors test-editors)"; exit 0; }
fi
# An occasional failure is reported, but does not fail the run if the retry passes.
RETRY=yes exec "$here/run_all.sh" "$editors" "$server"
