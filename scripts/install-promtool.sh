#!/usr/bin/env bash
# Puts promtool, which judges metrics in tests, at the path that is given: from the package `prometheus` of Debian or
# Ubuntu, whose signatures apt checks. Nothing is installed in the system.
set -euo pipefail
to="$(realpath -m "$1")"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "apt-get is needed to install promtool." >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# A mirror that does not respond must not hold up the tests.
timeout 120 apt-get download prometheus >log 2>&1 || { cat log >&2; exit 1; }
dpkg-deb --extract ./*.deb .
mkdir -p "$(dirname "$to")"
usr/bin/promtool --version >/dev/null
mv usr/bin/promtool "$to"
