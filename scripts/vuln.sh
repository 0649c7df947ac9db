#!/usr/bin/env bash
# govulncheck needs its database; a machine that cannot reach it says so and
# goes on, since the answer would say nothing about this code.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(go tool govulncheck ./... 2>&1)
code=$?
if [ $code -ne 0 ] && grep -qE 'dial tcp|no such host|connection refused|i/o timeout|fetching vulnerabilities|vuln.go.dev' <<<"$out" && ! grep -q 'Vulnerability #' <<<"$out"; then
  echo "govulncheck: skipped, its database cannot be reached"
  exit 0
fi
printf '%s\n' "$out"
exit $code
