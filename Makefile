# The two commands that a newcomer needs are `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: demo test test-unit check bench

demo: .venv/installed
	@$(BIN)/interp

test: .venv/installed
	$(PYTEST) --cov --cov-report=term:skip-covered

test-unit: .venv/installed
	$(PYTEST) tests/unit

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: .venv/bench
	$(BIN)/python -m benchmarks

# The stamp is newer than the two files that decide what is installed, so a second call does nothing.
.venv/installed: pyproject.toml constraints.txt
	@echo "Installing into .venv: a few minutes, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[demo,dev]'
	@touch $@

# What else is measured, and nothing else needs.
.venv/bench: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[demo,dev,bench]'
	@touch $@
