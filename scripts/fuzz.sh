#!/usr/bin/env bash
# Every parser against made-up bytes for some seconds each: scripts/fuzz.sh SECONDS [TARGET...]
# Needs a nightly compiler and cargo-fuzz. What is found lies in fuzz/artifacts; what was learnt, in fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?how many seconds for each target}
shift
cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is not there: cargo install cargo-fuzz" >&2; exit 2; }
rustup run nightly rustc --version >/dev/null 2>&1 || { echo "a nightly compiler is not there: rustup toolchain install nightly" >&2; exit 2; }

# Where real messages of a dialect stand already.
seeds() {
  case $1 in
    awc) echo ingest/fixtures/aviation_weather ;;
    rtl433 | weewx | homeassistant) echo ingest/fixtures/mqtt ;;
    csv | ndjson) echo ingest/fixtures/table ;;
    entries | hour | json | metar) echo "fuzz/seeds/$1" ;;
    *) echo "ingest/fixtures/$1" ;;
  esac
}

if [ $# -eq 0 ]; then
  mapfile -t names < <(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | grep -v weatherglass-fuzz)
  set -- "${names[@]}"
fi
for target in "$@"; do
  mkdir -p "fuzz/corpus/$target"
  echo "== $target"
  cargo +nightly fuzz run --fuzz-dir fuzz "$target" "fuzz/corpus/$target" "$(seeds "$target")" -- \
    -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 2>&1 |
    grep -E "stat::number_of_executed_units|cov:.*DONE|panicked|ERROR|SUMMARY|Test unit written" || true
  if compgen -G "fuzz/artifacts/$target/*" >/dev/null; then
    echo "$target: found something, see fuzz/artifacts/$target" >&2
    exit 1
  fi
done
