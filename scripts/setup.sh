#!/bin/bash
# Installs the Debian packages that are missing. Says nothing when none is.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'USAGE'
usage: scripts/setup.sh [--check] [build|test|run|image ...]
  Installs what is missing of scripts/packages/*.txt with apt-get (as root, or by sudo); without a name: all of them.
  --check  install nothing; list what is missing, exit 1 when something is
USAGE
}

check_only=
purposes=()
for argument in "$@"; do
  case $argument in
    build | test | run | image) purposes+=("$argument") ;;
    --check) check_only=1 ;;
    -h | --help) usage && exit 0 ;;
    *)
      warn "setup.sh: '$argument' is not known"
      usage >&2
      exit 2
      ;;
  esac
done
((${#purposes[@]} > 0)) || purposes=(build test run image)

command -v dpkg-query >/dev/null ||
  die "this set-up knows Debian 12; elsewhere install the counterparts of scripts/packages/*.txt yourself"

mapfile -t wanted < <(printf "$root/scripts/packages/%s.txt\0" "${purposes[@]}" | xargs -0 sed -e 's/#.*//' -e '/^ *$/d' | sort -u)
declare -A installed=()
while read -r status package; do
  [[ $status == installed ]] && installed[$package]=1
done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null)
missing=()
for package in "${wanted[@]}"; do
  [[ -n ${installed[$package]-} ]] || missing+=("$package")
done

((${#missing[@]} > 0)) || exit 0
if [[ -n $check_only ]]; then
  printf '%s\n' "${missing[@]}"
  exit 1
fi

release=$(. /etc/os-release && echo "${ID-} ${VERSION_ID-}")
[[ $release == "debian 12" ]] ||
  warn "setup.sh: made for Debian 12, this is '$release': some packages may have other names here"

how_many="${#missing[@]} package$( ((${#missing[@]} == 1)) || echo s)"
by_hand="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || die "$how_many missing, and this is neither root nor a user with sudo. As root:
  $by_hand"
  if [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; then
    die "$how_many missing, and sudo wants a password but there is no terminal. As root:
  $by_hand"
  fi
  as_root=(sudo)
fi

log=$root/build/logs/setup.log
mkdir -p "${log%/*}"
: >"$log"

apt() {
  # The lock is waited for: on a new machine its own first update may be running.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
    apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -q "$@" 2>&1
}

# count_steps: each package is fetched, unpacked and set up; prints "n/m" before such a line.
count_steps() {
  local line steps=0 all=0
  while IFS= read -r line; do
    [[ $line =~ ([0-9]+)\ upgraded,\ ([0-9]+)\ newly\ installed ]] && all=$((3 * (BASH_REMATCH[1] + BASH_REMATCH[2])))
    if [[ $line =~ ^(Get:|Unpacking|Setting\ up) ]] && ((all > 0)); then
      steps=$((steps < all ? steps + 1 : all))
      printf '[%d/%d] %s\n' "$steps" "$all" "$line"
    else
      printf '%s\n' "$line"
    fi
  done
}

failed() {
  tail -n 12 "$log" | cut -c 1-300 >&2
  die "$1
  $2
  All of apt's output: ${log#"$root"/}"
}

say "Installing $how_many for ${purposes[*]} (apt-get; once)"
progress "  fetching the lists of packages"
# A list that cannot be fetched need not matter (a third party's); whether it did is seen below.
apt update >>"$log" || true
progress_end
apt install -y --no-install-recommends "${missing[@]}" | count_steps |
  follow "installing" "$log" '^\[([0-9]+)/([0-9]+)\]' || {
  if grep -q '^\(W: Failed to fetch\|E: \(Failed to fetch\|Could not get lock\|The repository\)\)' "$log"; then
    failed "the lists or packages could not be fetched." "Is this machine connected, and are its apt sources right?  apt-get update"
  fi
  failed "apt-get install failed." "Try it by hand to see why:  $by_hand"
}
