#!/usr/bin/env bash
# Drives the page in a real browser: crates/serve/tests/page/run.sh [pytest's options]
#
# Needs a built `quadrat` (target/debug by default, else $QUADRAT), Python 3 with venv, and Chromium. What else is needed
# (Playwright, pytest, axe-core) is fetched into a temporary folder. Where one of these cannot be had, it says so and ends well.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../../.." && pwd)
export QUADRAT=${QUADRAT:-${CARGO_TARGET_DIR:-$root/target}/debug/quadrat}
axe=4.14.1

skip() {
  echo "skipped: $*"
  exit 0
}

find_chromium() {
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name"; then return; fi
  done
}

CHROMIUM=${CHROMIUM:-$(find_chromium)}
if [[ -z "$CHROMIUM" && $(id -u) == 0 ]] && command -v apt-get > /dev/null; then
  apt-get install --yes --no-install-recommends chromium > /dev/null 2>&1 || true
  CHROMIUM=$(find_chromium)
fi
[[ -n "$CHROMIUM" ]] || skip "no Chromium"
export CHROMIUM
[[ -x "$QUADRAT" ]] || { echo "no $QUADRAT: build it first (cargo test --workspace --no-run)"; exit 2; }

tools=${PAGE_TOOLS:-$(mktemp -d)}
[[ -n "${PAGE_TOOLS:-}" ]] || trap 'rm -rf "$tools"' EXIT
mkdir -p "$tools"
if [[ ! -x "$tools/venv/bin/pytest" ]]; then
  python3 -m venv "$tools/venv" || skip "no Python with venv"
  "$tools/venv/bin/pip" --quiet install playwright==1.65.2 pytest==9.2.0 || skip "no Playwright"
fi
if [[ ! -s "$tools/axe.min.js" ]]; then
  (cd "$tools" && npm pack --silent "axe-core@$axe" > /dev/null) || skip "no axe-core: it is fetched by npm"
  tar --extract --gzip --to-stdout --file "$tools/axe-core-$axe.tgz" package/axe.min.js > "$tools/axe.min.js"
fi
export AXE="$tools/axe.min.js"
export PAGE_PICTURES=${PAGE_PICTURES:-$tools/pictures}
mkdir -p "$PAGE_PICTURES"
PYTHONDONTWRITEBYTECODE=1 "$tools/venv/bin/pytest" -p no:cacheprovider -q "$here" "$@"
