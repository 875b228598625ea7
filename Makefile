# The things one does here. `make demo` and `make test` need nothing but Python 3.11+ and a
# compiler; everything they install goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check compile bench bench-labels faults calibrate load fuzz soak schema deploy pages site fmt clean

setup: .venv/.made ## the virtual environment, from the lock file with hashes

.venv/.made: requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

demo: setup ## two real models, live traffic, one promotion on evidence (under 3 minutes)
	$(BIN)/understudy demo

JOBS ?= 2

test: setup ## every test, JOBS=2 at a time
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

check: setup ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

compile: setup ## the router's hot files to C (docs/adr/0007); the image has them too
	$(BIN)/python scripts/compile_router.py

bench: setup ## cost, streams, latency and memory beside Envoy, HAProxy, nginx (loadtests/README.md)
	-$(BIN)/python scripts/compile_router.py
	$(BIN)/python -m loadtests.bench

bench-labels: setup ## joins a second, memory and disk as pending labels grow to ten million
	$(BIN)/python -m loadtests.labels

KILLS ?= 100
CUTS ?= 20

faults: setup ## the store's faults in full: KILLS=100 of the controller, CUTS=20 of the power (as root)
	UNDERSTUDY_KILLS=$(KILLS) UNDERSTUDY_POWER_CUTS=$(CUTS) UNDERSTUDY_LOCK_SECONDS=30 \
	UNDERSTUDY_STOP_SECONDS=60 $(BIN)/python -m pytest -s --timeout 3600 \
	tests/faults/test_label_path.py tests/faults/test_disk.py

calibrate: setup ## error rates and sample sizes of every test, in full
	$(BIN)/python -m tests.statistics.calibrate

FUZZ_SECONDS ?= 60
SEED ?= 1

fuzz: setup ## hostile clients and models, drawn without end: FUZZ_SECONDS=3600 SEED=7 (docs/testing.md)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --seed $(SEED)

SOAK_MINUTES ?= 30

soak: setup ## a whole sidecar under load while everything around it fails: SOAK_MINUTES=30
	$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES)

load: setup ## an interactive load test, see loadtests/README.md
	$(BIN)/locust -f loadtests/locustfile.py --host http://127.0.0.1:8080

schema: setup ## config/schema.json from the models in sidecar/routefile.py
	$(BIN)/python -m sidecar.schema > config/schema.json

pages: setup ## docs/cli.md and docs/routing-file.md, from the command line and the schema
	$(BIN)/python scripts/pages.py

site: setup ## the documentation as a site, strictly, into build/site (needs nothing from outside)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

deploy: setup ## rules, dashboard and docs/metrics.md from the metrics (sidecar/monitoring)
	$(BIN)/python -m sidecar.monitoring.files

fmt: setup ## format in place
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
