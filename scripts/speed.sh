#!/usr/bin/env bash
# Measures whole processes with warm caches: CPU time (user and system) and
# peak memory, the best of several runs, on the sparse 16 GB dumps of
# engine/dumptest (one with many processes, one with much of everything) and,
# where it is at hand, on the reference dump.
set -euo pipefail
cd "$(dirname "$0")/.."
kdap="$(realpath "$1")"
dir="${XDG_CACHE_HOME:-$HOME/.cache}/kdap-speed"
runs=7
go run ./engine/dumptest/gensparse "$dir"
go run ./engine/dumptest/gensparse -busy "$dir"

measure() { # NAME COMMAND…
  local name="$1"
  shift
  KDAP="$kdap" python3 - "$name" "$runs" "$@" <<'PY'
import os, resource, subprocess, sys, time
name, runs, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
best = None
for i in range(runs + 1):  # the first run warms the caches
    start, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    p = subprocess.Popen([os.environ["KDAP"]] + command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    row = ((usage.ru_utime + usage.ru_stime) * 1000, (time.monotonic() - wall) * 1000, usage.ru_maxrss / 1024)
    if i and (best is None or row < best):
        best = row
print(f"{name:44} {best[0]:7.1f} ms CPU {best[1]:7.1f} ms wall {best[2]:6.1f} MB")
PY
}

sparse=("$dir/sparse.dmp" --symbols "$dir/symbols")
measure "sparse 16 GB, 300 processes: !process 0 0" run "${sparse[@]}" -c '!process 0 0'
measure "sparse 16 GB, 3,000 threads: all stacks" list stacks "${sparse[@]}" -o jsonl

busy=("$dir/busy.dmp" --symbols "$dir/symbols")
eater="$("$kdap" list heaps "${busy[@]}" -o csv | python3 -c '
import csv, sys
print(max(csv.DictReader(sys.stdin), key=lambda h: int(h["busyBlocks"]))["pid"])')"
eater="$("$kdap" list processes "${busy[@]}" --pid "$eater" -o jsonl | python3 -c 'import json, sys; print(json.load(sys.stdin)["eprocess"])')"
runs=2
measure "busy 16 GB, distinct PFN entries: !memusage" run "${busy[@]}" -c '!memusage'
measure "busy 16 GB, 110,000 handles: !handle 0 3 0" run "${busy[@]}" -c '!handle 0 3 0'
measure "busy 16 GB, 110,000 handles: list" list handles "${busy[@]}" -o jsonl
measure "busy 16 GB, 1.1 M blocks: !heap -a" run "${busy[@]}" -c ".process /p $eater; !heap -a"
measure "busy 16 GB, 1.1 M blocks: !heap -l" run "${busy[@]}" -c ".process /p $eater; !heap -l"
measure "busy 16 GB, 1.1 M blocks: list, as a table" list allocations "${busy[@]}"
runs=7

lab="${KDAP_SHARED:-../shared}/dumps/lab19041.dmp.zst"
if [ -e "$lab" ]; then
  reference=("$lab" --symbols "${KDAP_SHARED:-../shared}/symbols")
  measure "reference dump: !process 0 0" run "${reference[@]}" -c '!process 0 0'
  measure "reference dump: all stacks" list stacks "${reference[@]}" -o jsonl
fi
