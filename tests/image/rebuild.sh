#!/bin/bash
# Compiles the binary once more, in a copy of the tree in another folder and without ccache: it must be the same file.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root"

usage() {
  cat <<'USAGE'
usage: tests/image/rebuild.sh
  Compares build/release/bin/detection-api with one that is compiled in a copy of the tree in another folder, without
  ccache. Takes as long as a cold release build. Exit 0: the same, 1: not, 2: wrong usage.
USAGE
}
case ${1-} in
  '') ;;
  -h | --help) usage && exit 0 ;;
  *) usage >&2 && exit 2 ;;
esac

[[ -x build/release/bin/detection-api ]] || die "there is no build/release/bin/detection-api (./run --build)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/elsewhere/deeper"
git ls-files -coz --exclude-standard | tar --null -T - --ignore-failed-read -cf - | tar -C "$work/elsewhere/deeper" -xf -
commit=$(build/release/bin/detection-api --version | sed 's/.*(\(.*\))/\1/')
cd "$work/elsewhere/deeper"
export CCACHE_DISABLE=1
scripts/console.sh build || die "the console could not be built"
cmake --preset release -DDETECTION_COMMIT="$commit" >configure.log 2>&1 || { cat configure.log && die "cmake failed"; }
cmake --build --preset release --target detection-api -j "$(build_jobs)" || die "the build failed"
for binary in "$root/build/release/bin/detection-api" build/release/bin/detection-api; do
  strip --strip-all -o "$work/stripped" "$binary"
  sha256sum <"$work/stripped"
done | sort -u | { read -r one && ! read -r _ && say "the same: $one"; } || die "the binaries differ"
