# Two commands on a fresh machine: `make search` and `make test`. Each makes .venv where there is none.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
STUDY ?= digits
MINUTES ?= 3.5
WORKERS ?= 2

.PHONY: search test lint test-slow bench clean

search: $(VENV)/installed
	$(BIN)/archfront search --study $(STUDY) --data digits --minutes $(MINUTES) --workers $(WORKERS)

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "slow or chaos" --timeout 1800

bench: $(VENV)/installed-dev
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Archfront needs Python 3.11 or newer; say make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[ray]'
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[ray,dev]'
	touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
