#!/usr/bin/env bash
# What `make test` runs, after setup: cheap checks first, so that a slip shows in seconds.
#   scripts/test.sh         everything
#   scripts/test.sh --lint  formatting and lints only
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.tools/node_modules/.bin:$PATH:$HOME/.cargo/bin"

say() { printf '\n== %s\n' "$*"; }
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
# A lock file that lags behind is put right while developing, and is a fault where tests are run for others.
locked=()
[ -z "${CI:-}" ] || locked=(--locked)
[ ! -t 1 ] || export CARGO_TERM_COLOR=always

say "formatting"
cargo fmt --all -- --check

say "scripts"
for script in scripts/*.sh .ci/run; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  shellcheck scripts/*.sh .ci/run
else
  echo "SKIPPED: shellcheck is not installed"
fi

say "Prometheus rules"
if command -v promtool >/dev/null; then
  promtool check config prometheus/prometheus.yml
  promtool test rules prometheus/rules_test.yml
else
  echo "SKIPPED: promtool is not installed (Debian: apt-get install prometheus); the alert rules were NOT tested"
fi

say "web: lint and types"
(cd web && npm run --silent lint && npm run --silent typecheck)

say "Rust: lints"
# In the release profile, like the tests: what build scripts and macros need is then compiled once.
cargo clippy "${locked[@]}" --release --workspace --all-targets -- -D warnings
[ "${1:-}" != --lint ] || exit 0

say "web: unit tests and bundle"
(cd web && npm run --silent test) 2>&1 | tee "$log/web"
(cd web && npm run --silent build)

say "Rust: unit tests, end-to-end tests with a real redis-server, and the browser"
cargo test "${locked[@]}" --release --workspace 2>&1 | tee "$log/rust"

strip() { sed 's/\x1b\[[0-9;]*m//g' "$1"; }
rust=$(strip "$log/rust" | awk '/^test result:/ { n += $4 } END { print n + 0 }')
web=$(strip "$log/web" | awk '$1 == "Tests" { for (i = 2; i <= NF; i++) if ($i == "passed") n = $(i - 1) } END { print n + 0 }')
printf '\n%s passed: %s in Rust, %s in the web\n' "$((rust + web))" "$rust" "$web"
