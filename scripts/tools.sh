#!/usr/bin/env bash
# Installs what the tests need beyond Go and Node, on a Debian machine where
# this runs as root. Elsewhere the tests that need a tool say so and skip.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need llvm-readobj-16 llvm-16
need chromium chromium
need g++ g++
need python3 python3
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed: ${missing[*]}; tests that need them skip" >&2
  exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
