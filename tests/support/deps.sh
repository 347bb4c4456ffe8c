#!/usr/bin/env bash
# Installs the Debian packages named as arguments that are missing; without root or sudo prints the
# exact line that would.
set -u
missing=()
if command -v dpkg-query >/dev/null; then
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
else
    echo "This is no Debian system: install the equivalents of: $*" >&2
    exit 0
fi
[ ${#missing[@]} -eq 0 ] && exit 0
line="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
    run=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=(sudo)
else
    echo "These packages are missing. As root, run:" >&2
    echo "    apt-get update && $line" >&2
    exit 1
fi
echo "Installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq >/dev/null || { echo "apt-get update failed" >&2; exit 1; }
"${run[@]}" $line -qq >/dev/null || { echo "failed: $line" >&2; exit 1; }
