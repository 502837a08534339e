#!/bin/bash
# Runs the libFuzzer targets of build/asan, as many at once as there are cores.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'USAGE'
usage: scripts/fuzz.sh [--seconds N] [TARGET...]
  Without a target: all of build/asan/bin/*_fuzz. A line for each: "ok NAME ..." or "FAILED NAME ..."; exit 1 when one
  failed. Seeds come from tests/fuzz/corpus/NAME, what was found new stays in build/corpus/NAME, an input that
  fails in build/logs/fuzz/.
USAGE
}

seconds=10
targets=()
while (($# > 0)); do
  case $1 in
    --seconds)
      [[ ${2-} =~ ^[1-9][0-9]*$ ]] || { warn "fuzz.sh: --seconds needs a whole number" && exit 2; }
      seconds=$2
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    *_fuzz) targets+=("$1") ;;
    *)
      warn "fuzz.sh: '$1' is not known"
      usage >&2
      exit 2
      ;;
  esac
  shift
done

if ((${#targets[@]} == 0)); then
  for binary in "$root"/build/asan/bin/*_fuzz; do
    [[ ! -x $binary ]] || targets+=("${binary##*/}")
  done
fi
((${#targets[@]} > 0)) || die "there is no target in build/asan/bin; build them: cmake --preset asan && cmake --build --preset asan"

fuzz_one() {
  local name=$1 log=$root/build/logs/fuzz/$1.log folders=("$root/build/corpus/$1") runs
  [[ -x $root/build/asan/bin/$name ]] || { say "FAILED $name: build/asan/bin/$name is not there" && return 1; }
  mkdir -p "${folders[0]}" "${log%/*}"
  [[ ! -d $root/tests/fuzz/corpus/$name ]] || folders+=("$root/tests/fuzz/corpus/$name")
  [[ $name != klv_fuzz ]] || folders+=("$root/tests/data/klv")
  if "$root/build/asan/bin/$name" -max_total_time="$seconds" -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$root/build/logs/fuzz/$name-" "${folders[@]}" >"$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    say "ok $name: $runs inputs in $seconds s"
  else
    say "FAILED $name"
    grep -E -m 3 '(ERROR|SUMMARY|runtime error|Test unit written)' "$log" | cut -c 1-300
    say "  $(grep -m 1 '^INFO: Seed' "$log"); all of it: ${log#"$root"/}"
    return 1
  fi
}
export -f fuzz_one say
export root seconds
export ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-19/bin/llvm-symbolizer
# shellcheck disable=SC2016 # for the inner shell
printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz_one "$1"' fuzz || exit 1
