#!/usr/bin/env bash
# System packages that only tests need. Debian or Ubuntu, as root. No service is started.
#   prometheus   its own parser judges our /metrics
#   nats-server  holds the stream that labels are read from
#   chromium     shows the dashboard
set -euo pipefail
needed=(prometheus nats-server chromium)
missing=()
for package in "${needed[@]}"; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
policy=/usr/sbin/policy-rc.d # asked by packages before they start their service; 101: not allowed
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
