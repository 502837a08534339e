#!/bin/bash
# The checks that need no build. Exit 0: clean, 1: findings, 2: wrong usage, 77: could not be looked at (says why).
# shellcheck disable=SC2317 # the lint_* functions are called by their names
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

usage() {
  cat <<'USAGE'
usage: scripts/lint.sh [format|shell|yaml|python|secrets|tidy] [--all] [--fix]
  format  clang-format over src/, tests/ and cmake/; --fix writes
  shell   shellcheck over every shell script
  yaml    yamllint over every YAML file
  python  every Python file compiles
  secrets no Secret with plain values, private key or credential in any file
  tidy    clang-tidy over what was changed since origin/main (on main itself: by the last commit), for at most
          DETECTION_TIDY_SECONDS (default 240); --all: over everything, without a limit
  Without a name: all of them.
USAGE
}

only='' all='' fix=''
for argument in "$@"; do
  case $argument in
    format | shell | yaml | python | secrets | tidy) only=$argument ;;
    --all) all=1 ;;
    --fix) fix=1 ;;
    -h | --help) usage && exit 0 ;;
    *)
      warn "lint.sh: '$argument' is not known"
      usage >&2
      exit 2
      ;;
  esac
done

# files PATTERN...: our own files, zero-terminated; also those not yet added.
in_git() { git rev-parse --is-inside-work-tree >/dev/null 2>&1; }
files() {
  if in_git; then
    git ls-files -coz --exclude-standard -- "$@" | while IFS= read -r -d '' file; do
      [[ ! -f $file ]] || printf '%s\0' "$file"
    done
  else
    local names=() pattern
    for pattern in "$@"; do names+=(-o -name "$pattern"); done
    find . \( -name build -o -name .cache \) -prune -o -type f \( "${names[@]:1}" \) -print0
  fi
}

lint_format() {
  local mode=(--dry-run -Werror)
  [[ -z $fix ]] || mode=(-i)
  files '*.cpp' '*.hpp' | xargs -0 -r clang-format-19 "${mode[@]}"
}

lint_shell() {
  # Scripts by their first line, whatever their name.
  files '*' | xargs -0 -r grep -lZIE -m1 '^#!/(usr/)?bin/(env )?(ba)?sh' | xargs -0 -r shellcheck -x scripts/lib.sh
}

lint_yaml() { files '*.yml' '*.yaml' .yamllint .clang-format .clang-tidy | xargs -0 -r yamllint --strict; }

lint_python() {
  files '*.py' | xargs -0 -r /usr/bin/python3 -c '
import sys
for name in sys.argv[1:]:
    compile(open(name, encoding="utf-8").read(), name, "exec")'
}

lint_secrets() { kubernetes/sealed-secrets/plain_secrets; }

# Names the commit that this change is looked at against; nothing when the history does not say.
tidy_base() {
  local base
  base=$(git merge-base HEAD origin/main 2>/dev/null) || base=''
  if [[ -z $base || $base == "$(git rev-parse HEAD)" ]]; then
    base=$(git rev-parse -q --verify HEAD~1) || base=''
  fi
  echo "$base"
}

# The translation units of what was changed: itself, or for a header the file of the same name.
changed_units() {
  local base=$1 file
  { git diff --name-only "$base" -- && git ls-files -o --exclude-standard; } | sort -u | while IFS= read -r file; do
    case $file in
      *.cpp) ;;
      *.hpp) file=${file%.hpp}.cpp ;;
      *) continue ;;
    esac
    [[ ! -f $file ]] || printf '%s\n' "$root/$file"
  done | sort -u
}

lint_tidy() {
  local build=$root/build/tidy base='' until=9999999999 seconds=${DETECTION_TIDY_SECONDS:-240} count
  mkdir -p "$build"
  cmake --preset tidy -DDETECTION_BENCH=ON -DDETECTION_FUZZ=ON >"$build/configure.log" 2>&1 ||
    { tail -n 20 "$build/configure.log" && return 1; }
  jq -r --arg root "$root/" '.[].file | select(startswith($root + "src/", $root + "tests/"))' "$build/compile_commands.json" | sort -u >"$build/units"
  if [[ -z $all ]]; then
    in_git || { say "no git history: what was changed is not known (--all looks at everything)" && return 77; }
    base=$(tidy_base)
    until=$((EPOCHSECONDS + seconds))
    if [[ -n $base ]]; then
      changed_units "$base" | comm -12 - "$build/units" >"$build/changed"
      mv "$build/changed" "$build/units"
    fi
  fi
  count=$(wc -l <"$build/units")
  ((count > 0)) || { say "nothing was changed" && return 0; }
  export TIDY_BUILD=$build TIDY_UNTIL=$until
  # One line of progress each; the findings of a file in one piece.
  # shellcheck disable=SC2016 # for the inner shell
  tr '\n' '\0' <"$build/units" | nl_zero | xargs -0 -n 2 -P "$(build_jobs)" bash -c '
    if ((EPOCHSECONDS >= TIDY_UNTIL)); then echo "not reached: $2" && exit 0; fi
    findings=$(clang-tidy-19 --quiet -p "$TIDY_BUILD" "$2" 2>/dev/null) && status=0 || status=1
    printf "[%s/'"$count"'] %s\n" "$1" "$2"
    ((status == 0)) || printf "%s\n" "$findings"
    exit $status' tidy >"$build/findings" || { cat "$build/findings" && return 1; }
  cat "$build/findings"
  local left
  left=$(grep -c '^not reached: ' "$build/findings") || return 0
  say "clang-tidy: $left of $count changed files were not reached in $seconds s, the others are clean (./test full looks at all)"
  return 77
}

# Numbers zero-terminated records: 1, first, 2, second, ...
nl_zero() {
  local number=0 record
  while IFS= read -r -d '' record; do printf '%d\0%s\0' $((++number)) "$record"; done
}

status=0
for name in ${only:-format shell yaml python secrets tidy}; do
  "lint_$name" || {
    result=$?
    ((result == 77 && status != 1)) && status=77 || status=1
  }
done
exit "$status"
