#!/bin/sh
# Makes the Node packages of one test peer: .cache/node/NAME from tests/peers/NAME (package.json, its lock, scripts).
# usage: setup_node.sh NAME
# Quiet when there is nothing to do. Exit 77 ("skipped") with a loud line when it cannot be made.
set -eu

usage() {
  echo "usage: $0 NAME    (NAME as in tests/peers/NAME/package.json: node-cot, logql)" >&2
  exit 2
}
[ $# -eq 1 ] || usage
name=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=$here/$name
[ -f "$source/package.json" ] || usage

root=$(CDPATH='' cd -- "$here/../.." && pwd)
folder=$root/.cache/node/$name
# The stamp says what was installed, so a changed requirement makes the folder anew.
stamp=$folder/.installed
wanted=$(cat "$source"/* | sha256sum)
done_already() { [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }
if done_already; then exit 0; fi

skip() {
  echo "SKIPPED: the Node packages of the test peer '$name' cannot be had: $1" >&2
  exit 77
}
command -v node >/dev/null || skip "no node (apt-get install nodejs npm)"
command -v npm >/dev/null || skip "no npm (apt-get install npm)"
major=$(node --version | sed -nE 's/^v([0-9]+)\..*/\1/p')
[ "${major:-0}" -ge 18 ] || skip "node $(node --version) is too old, 18 is needed"
mkdir -p "$root/.cache/node"
log=$root/.cache/node/$name.log
# Two callers at once: the second waits, then finds the work done.
exec 9>"$root/.cache/node/$name.lock"
flock 9
if done_already; then exit 0; fi
rm -rf "$folder"
mkdir "$folder"
cp "$source"/* "$folder/"
if ! (cd "$folder" && timeout 240 npm ci --no-audit --no-fund --omit=dev --ignore-scripts) >"$log" 2>&1 9>&-; then
  tail -n 3 "$log" >&2
  rm -rf "$folder"
  skip "npm could not install $source; see $log"
fi
printf '%s\n' "$wanted" >"$stamp"
