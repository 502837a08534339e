# shellcheck shell=bash
# Messages, progress and builds, shared by ./run, ./test and scripts/*.sh. Sourced, never run.
# shellcheck disable=SC2034 # the colours are for those who source it

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) # top of the repository
bold='' dim='' red='' green='' yellow='' plain=''
if [[ -t 1 && -z ${NO_COLOR-} && ${TERM-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
  warn "${0##*/}: $*"
  exit 1
}

# One line that is written over: how far long work is. A pipe gets none of it.
progress() { if [[ -t 2 ]]; then printf '\r\e[K%s' "$*" >&2; fi; }
progress_end() { if [[ -t 2 ]]; then printf '\r\e[K' >&2; fi; }

# follow LABEL LOG PATTERN: copies stdin to LOG and shows "n of m", the first two groups of PATTERN, as a percentage:
# on a terminal as it comes, else at each quarter.
follow() {
  local label=$1 log=$2 pattern=$3 line done_ all quarter=0
  while IFS= read -r line || [[ -n $line ]]; do
    printf '%s\n' "$line" >>"$log"
    [[ $line =~ $pattern ]] || continue
    done_=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
    ((all > 0)) || continue
    if [[ -t 2 ]]; then
      progress "  $label: $((100 * done_ / all)) % ($done_ of $all)"
    elif ((all >= 8 && 4 * done_ / all > quarter)); then
      quarter=$((4 * done_ / all))
      say "  $label: $((25 * quarter)) %"
    fi
  done
  progress_end
}

# Compilers at once: as many as cores, fewer where memory is short (a file with Boost takes about 1 GiB).
build_jobs() {
  local cores memory_kib most
  cores=$(nproc)
  memory_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  most=$((memory_kib / 1300000))
  ((most >= 1)) || most=1
  ((cores < most)) && most=$cores
  echo "${DETECTION_JOBS:-$most}"
}

# build_preset PRESET LOG [TARGET...]: configures where needed and builds; all output goes to LOG.
# Returns 1 when it fails; what could be built is built. One build of a preset at a time: a second caller waits.
build_preset() {
  local preset=$1 log=$2 lock status=0
  shift 2
  local directory=$root/build/$preset
  mkdir -p "$directory" "${log%/*}"
  : >"$log"
  exec {lock}>"$directory/.lock"
  if ! flock -n "$lock"; then
    say "  waiting for another build of $preset"
    flock "$lock"
  fi
  # A tree that was copied or moved brings a cache of its old place.
  if [[ -f $directory/CMakeCache.txt ]] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$directory/CMakeCache.txt"; then
    rm -rf "$directory/CMakeCache.txt" "$directory/CMakeFiles" "$directory/rooms"
  fi
  if [[ ! -f $directory/build.ninja || ! -f $directory/CMakeCache.txt || $root/CMakePresets.json -nt $directory/build.ninja ]]; then
    progress "  configuring $preset"
    (cd "$root" && cmake --preset "$preset") >>"$log" 2>&1 || status=1
    progress_end
  fi
  if ((status == 0)); then
    local targets=()
    (($# > 0)) && targets=(--target "$@")
    (cd "$root" && NINJA_STATUS='[%f/%t] ' cmake --build "$directory" -j "$(build_jobs)" "${targets[@]}" -- -k 0 2>&1) |
      follow "building $preset" "$log" '^\[([0-9]+)/([0-9]+)\]' || status=1
  fi
  exec {lock}>&-
  return "$status"
}

# show_failure LOG [LINES]: the telling part of a log.
show_failure() {
  local log=$1 lines=${2-40}
  if grep -qE '(^FAILED: |error: |CMake Error)' "$log"; then
    grep -E -A 12 '(^FAILED: |error: |CMake Error)' "$log" | grep -vE '^(\[[0-9]+/[0-9]+\]|--$|(ccache|:) )' | cut -c 1-400 | head -n "$lines" >&2
  else
    tail -n "$lines" "$log" | cut -c 1-400 >&2
  fi
  warn "  all of it: ${log#"$root"/}"
}
