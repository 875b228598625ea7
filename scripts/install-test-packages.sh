#!/usr/bin/env bash
# System packages that only tests need. Debian or Ubuntu, as root.
#   prometheus   its own parser judges our /metrics
set -euo pipefail
needed=(prometheus)
missing=()
for package in "${needed[@]}"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
