# Each target sets up by itself what it needs, in .venv; a second time that costs nothing.

PYTHON ?= python3
SERIES ?= 10
SHARE ?= 1

PY := .venv/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
# Each of the two processes has an Airflow home of its own; one that is done takes the other's tests.
PYTEST := $(PY) -m pytest -n 2 --dist worksteal

# Without its .pyc files, every Airflow process would compile for half a minute before it starts.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo ui test core lint e2e scale matrix soak bench build clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-7s %s\n' "$$name" "$$text"; done

demo: .venv/runtime ## run the examples in a real Airflow against a fake Stripe (or STRIPE_API_KEY=sk_test_…)
	@$(PY) -m dev.demo

ui: .venv/runtime ## the same Airflow in your browser, new objects arriving, until Ctrl-C
	@$(PY) -m dev.ui

test: .venv/dev ## all tests but the end-to-end ones; with COVERAGE=--cov, what of the package they run
	$(PYTEST) $(COVERAGE)

core: .venv/dev ## the tests of the core alone: seconds, no Airflow
	$(PYTEST) tests/core

lint: .venv/dev ## ruff and mypy
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

e2e: .venv/dev ## real schedulers, databases, kills, a browser: about 15 minutes
	$(PY) -m pytest -s -m e2e --durations=15

scale: .venv/dev ## several hosts that die, 500 sensors at once, 90 days into S3: about 10 minutes
	$(PY) -m pytest -s -m scale --durations=15

matrix: .venv/dev ## other Airflows and Pythons, each in an environment of its own; SHARE=3: a third of its tests
	SHARE=$(SHARE) $(PY) -m dev.matrix

soak: .venv/dev ## the same for longer, once for each release: make soak SERIES=10
	LEDGER_LIVES=100000 $(PYTEST) tests/core/test_ledger_lives.py
	HYPOTHESIS_HISTORIES=10000 $(PY) -m pytest tests/core/test_cursor_machine.py
	RUN_LIVES=300 $(PYTEST) tests/airflow/test_run_lives.py
	SERIES=$(SERIES) $(PY) -m pytest -s -m "scale or soak"

bench: .venv/dev ## speed and memory, side by side with other ways to read Stripe
	$(PY) -m dev.benchmarks

build: .venv/dev ## wheel and sdist into dist/, checked, and tried in an empty environment
	@$(PY) -m dev.release

clean: ## remove everything that the other targets made
	rm -rf .venv .matrix .demo .ui .e2e .bench build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/runtime: .venv/pip pyproject.toml
	@echo 'Setting up .venv: Airflow and this package (once, one to three minutes) …'
	@$(PIP) install --editable .
	@touch $@

.venv/dev: .venv/pip pyproject.toml
	@echo 'Setting up .venv: Airflow, this package, and what tests and linters need (once, one to three minutes) …'
	@$(PIP) install --editable . --group dev
	@touch .venv/runtime $@

# pip >= 25.1 knows dependency groups.
.venv/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'This needs Python 3.11 or newer as $(PYTHON). Name another one like this: make PYTHON=python3.12 …'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
		then echo "Installing $$package …"; apt-get update -qq && apt-get install -qq -y $$package >/dev/null; \
		else echo "Python's venv is not complete here. Once: sudo apt-get install $$package"; exit 1; fi; }
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@
