#!/usr/bin/env bash
# Runs every fuzz target for the given time. A target that fails leaves its
# input under testdata/fuzz, where it stays as a test.
set -euo pipefail
cd "$(dirname "$0")/.."
time="${1:-2s}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/kdap-fuzz"

# Go's fuzzer sometimes reports its own end of time as a failure of the target:
# such a run has no failing input.
passed() { # LOG
  grep -q 'context deadline exceeded' "$1" && ! grep -q 'Failing input' "$1"
}

grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
  # One build a package: the test binary runs its targets one after the other.
  bin="$(mktemp -d)/fuzz.test"
  go test -c -fuzz=. -o "$bin" "$dir" # instrumented
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //' | while read -r target; do
    printf '%s %s: ' "$dir" "$target"
    if (cd "$dir" && "$bin" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.fuzzminimizetime 5x \
      -test.fuzzcachedir "$cache" </dev/null >"$bin.log" 2>&1) || passed "$bin.log"; then
      grep -oE 'execs: [0-9]+' "$bin.log" | tail -n 1 || echo "seeds only"
    else
      cat "$bin.log"
      exit 1
    fi
  done
  rm -rf "$(dirname "$bin")"
done
