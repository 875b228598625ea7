#!/usr/bin/env bash
# MLflow's model server for docs/quickstart.md and the test that runs it: in .venv-mlflow, a virtual
# environment of its own, at pinned versions.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv-mlflow/bin/mlflow ] && exit 0
python3 -m venv .venv-mlflow
.venv-mlflow/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-mlflow.lock
