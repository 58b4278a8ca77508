#!/usr/bin/env bash
# Takes docs/screenshot-network.png and docs/screenshot-station.png of the dashboard at
# WEATHERGLASS_URL; when nothing answers there, of a demo that is started for it and stopped again.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.tools/node_modules/.bin:$PATH"

binary=${CARGO_TARGET_DIR:-target}/release/weatherglass
export WEATHERGLASS_URL=${WEATHERGLASS_URL:-http://localhost:8000}
answers() { "$binary" healthcheck "$WEATHERGLASS_URL/readyz" >/dev/null 2>&1; }

if ! answers; then
  data=$(mktemp -d)
  echo "== starting a demo for the pictures"
  "$binary" demo --data "$data" &
  demo=$!
  trap 'kill -INT "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -rf "$data"' EXIT
  for _ in $(seq 180); do
    answers && break
    kill -0 "$demo" 2>/dev/null || { echo "the demo has stopped; see above" >&2; exit 1; }
    sleep 1
  done
  answers || { echo "the demo was not ready within three minutes" >&2; exit 1; }
fi
cd web
npm run --silent screenshot
