#!/bin/sh
# Builds the test peer cottak (a TAK server that negotiates protobuf): .cache/cottak/cottak_peer.
# Quiet when there is nothing to do. Exit 77 ("skipped") with a loud line when it cannot be built.
# The first build takes three minutes on two cores; DETECTION_PEER_SECONDS bounds it (900).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
source=$here/cottak
cache=$root/.cache/cottak
# The stamp says what was built, so a changed source or lock is built anew; cargo keeps what did not change.
want=$(cat "$source/Cargo.toml" "$source/Cargo.lock" "$source/src/main.rs" | sha256sum)
done_already() { [ -x "$cache/cottak_peer" ] && [ "$(cat "$cache/.stamp" 2>/dev/null)" = "$want" ]; }
if done_already; then exit 0; fi

skip() {
  echo "SKIPPED: the test peer cottak cannot be built: $1" >&2
  exit 77
}
command -v cargo >/dev/null 2>&1 || skip "no cargo (Rust 1.88 or later is needed)"
minor=$(cargo --version 2>/dev/null | sed -nE 's/^cargo 1\.([0-9]+)\..*/\1/p')
[ -n "$minor" ] || skip "cargo does not say its version: $(cargo --version 2>&1 | head -n 1)"
[ "$minor" -ge 88 ] || skip "cargo 1.$minor is too old, 1.88 is needed"

mkdir -p "$cache"
log=$cache/build.log
# Two callers at once: the second waits, then finds the work done.
exec 9>"$cache/lock"
flock 9
if done_already; then exit 0; fi
if ! nice timeout "${DETECTION_PEER_SECONDS:-900}" cargo build --release --locked -j 2 --quiet \
  --manifest-path "$source/Cargo.toml" --target-dir "$cache/target" >"$log" 2>&1 9>&-; then
  tail -n 3 "$log" >&2
  skip "cargo build failed or took too long; see $log"
fi
cp "$cache/target/release/cottak_peer" "$cache/cottak_peer.new"
mv "$cache/cottak_peer.new" "$cache/cottak_peer"
printf '%s\n' "$want" >"$cache/.stamp"
