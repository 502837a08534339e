#!/bin/bash
# Two versions of the program on one database, each with the other's schema and both at once.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root"

usage() {
  cat <<'USAGE'
usage: tests/tools/skew.sh [REVISION]
  Builds REVISION (default: the newest tag v* before this tree) in build/skew and runs its replicas_test with this tree's
  program as the other one, and this tree's replicas_test with REVISION's.
  Exit 0: all passed, 1: not, 77: there is nothing to compare with.
USAGE
}

case ${1-} in
  -h | --help) usage && exit 0 ;;
  -*) usage >&2 && exit 2 ;;
esac
revision=${1-}
[[ -n $revision ]] || revision=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null) || {
  say "SKIPPED, NOT TESTED: this clone has no tag v*; say a revision, or: git fetch --tags"
  exit 77
}
commit=$(git rev-parse --verify --quiet "$revision^{commit}") || die "there is no revision '$revision' here"
say "$revision is $(git log -1 --format='%h (%s)' "$commit")"

tree=$root/build/skew/$commit
mkdir -p "$tree"
git archive "$commit" | tar -x -C "$tree"
[[ ! -d .cache ]] || ln -sfn "$root/.cache" "$tree/.cache" # foreign tools that are set up already

built() { # ROOT: its program and its test
  (cd "$1" && { [[ -f build/dev/build.ninja ]] || cmake --preset dev; } &&
    cmake --build build/dev -j "$(build_jobs)" --target detection-api replicas_test) >"$root/build/logs/skew-build.log" 2>&1 || {
    show_failure "$root/build/logs/skew-build.log"
    exit 1
  }
}
mkdir -p build/logs
built "$tree"
built "$root"

status=0
compare() { # OURS OTHERS WORDS
  say "$3"
  DETECTION_OTHER_BINARY=$2/build/dev/bin/detection-api \
    "$1/build/dev/bin/replicas_test" --gtest_brief=1 --gtest_filter='*OnASchemaNotItsOwn*:*BesideTheOther*' || status=1
}
compare "$root" "$tree" "this tree, on the schema of $revision and beside it"
compare "$tree" "$root" "$revision, on this tree's schema and beside it"
exit "$status"
