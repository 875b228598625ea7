#!/usr/bin/env bash
# Writes the lock files anew from pyproject.toml: every version pinned, every file hashed, for
# every platform. Run it when a dependency changes, and commit what it writes.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links --python-version 3.11 pyproject.toml "$@"
}
.venv/bin/python -m pip install --quiet uv
compile --extra nats --extra parquet --extra scan --extra signing --output-file requirements.lock
compile --all-extras --output-file requirements-dev.lock
printf 'mlflow\nscikit-learn\n' | .venv/bin/uv pip compile --quiet --universal --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11 \
    --output-file requirements-mlflow.lock -
