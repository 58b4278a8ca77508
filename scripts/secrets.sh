#!/usr/bin/env bash
# Makes the secrets that compose.yaml mounts, as files in deploy/secrets (or the folder given).
# Those that exist are kept. A new ingest key is shown, once: whoever posts needs it.
set -euo pipefail
folder=${1:-$(dirname "$0")/../deploy/secrets}

# The folder keeps the machine's other users out. The files must be readable by all, since compose
# mounts them as they are and every service runs under another user than their owner.
mkdir -p "$folder"
chmod 700 "$folder"

# 32 characters of 62: about 190 bits. The pipe is cut short on purpose.
key() { (set +o pipefail; LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32); }

make_secret() {
  local file="$folder/$1" text=$2
  if [ -s "$file" ]; then
    echo "kept $file"
    return 1
  fi
  printf '%s\n' "$text" >"$file"
  chmod 444 "$file"
  echo "made $file"
}

make_secret redis_password "$(key)" || true
make_secret grafana_password "$(key)" || true
ingest_key=$(key)
if make_secret ingest_keys "$ingest_key"; then
  echo
  echo "Key for posting observations of any station (shown once, kept in $folder/ingest_keys):"
  echo "  Authorization: Bearer $ingest_key"
fi
