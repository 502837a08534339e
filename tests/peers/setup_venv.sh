#!/bin/sh
# Makes the Python environment of one test peer: .cache/venv/NAME from tests/peers/requirements-NAME.txt.
# usage: setup_venv.sh NAME
# Quiet when there is nothing to do. Exit 77 ("skipped") with a loud line when it cannot be made.
set -eu

usage() {
  echo "usage: $0 NAME    (NAME as in requirements-NAME.txt: taky, pytak, schemathesis, s3)" >&2
  exit 2
}
[ $# -eq 1 ] || usage
name=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
requirements=$here/requirements-$name.txt
[ -f "$requirements" ] || usage

root=$(CDPATH='' cd -- "$here/../.." && pwd)
venv=$root/.cache/venv/$name
# The stamp is a copy of what was installed, so a changed requirement makes the environment anew.
stamp=$venv/.requirements
if [ -x "$venv/bin/python" ] && cmp -s "$requirements" "$stamp"; then
  exit 0
fi

skip() {
  echo "SKIPPED: the Python environment of the test peer '$name' cannot be made: $1" >&2
  exit 77
}
[ -x /usr/bin/python3 ] || skip "no /usr/bin/python3 (apt-get install python3)"
mkdir -p "$root/.cache/venv"
log=$root/.cache/venv/$name.log
# Two callers at once: the second waits, then finds the work done.
exec 9>"$root/.cache/venv/$name.lock"
flock 9
if [ -x "$venv/bin/python" ] && cmp -s "$requirements" "$stamp"; then
  exit 0
fi
rm -rf "$venv"
/usr/bin/python3 -m venv "$venv" >"$log" 2>&1 || skip "python3 -m venv failed (apt-get install python3-venv); see $log"
if ! "$venv/bin/pip" install --disable-pip-version-check --quiet -r "$requirements" >>"$log" 2>&1; then
  tail -n 3 "$log" >&2
  rm -rf "$venv"
  skip "pip could not install $requirements; see $log"
fi
cp "$requirements" "$stamp"
