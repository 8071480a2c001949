# One venv for everything: `make demo` and `make test` are all the set-up a clone needs.
VENV := .venv
BIN := $(VENV)/bin
KERNEL := engine/hatch_build.py $(wildcard engine/waypost/program/kernel/*.p[yx][xd])
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
LIBRARIES = $(shell sed -n '/^dependencies = \[/,/^\]/s/^ *"\([A-Za-z0-9.-]*[A-Za-z0-9]\)[>=<].*/\1/p' pyproject.toml | paste -sd, - | sed 's/,/, /g')

.PHONY: help demo test test-all soak sanitize ci lint types fix update bench bench-full clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "waypost needs Python 3.11 or newer with venv: install it (e.g. apt-get install python3 python3-venv, or brew install python)"; exit 2; }
	@echo "Making a Python environment in $(VENV)/; nothing is installed outside of it."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml $(KERNEL) | $(BIN)/python
	@echo "Installing waypost into $(VENV)/, with $(LIBRARIES) and what these need; its kernel is compiled where there is a C compiler. About a minute, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: pyproject.toml $(KERNEL) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run ## events from a file to a receiver on loopback, and the closed ledger
	@$(BIN)/python examples/demo.py

test: $(VENV)/.test ## the fast suite: all but what runs engines as processes for a long time
	$(BIN)/python -m pytest -n 2 -m "not slow" tests

test-all: $(VENV)/.test ## every test but those of `make soak`
	$(BIN)/python -m pytest -n 2 tests

soak: $(VENV)/.test ## the long proofs and a table of their figures; PARTS="kills sdks" KILLS=400 choose, ARGS="--schedules 100" too
	$(BIN)/python tests/soak.py $(PARTS) $(if $(KILLS),--kills $(KILLS)) $(ARGS)

sanitize: $(VENV)/.test ## the kernel's tests, with every byte that it reads or writes watched (gcc)
	$(BIN)/python tests/sanitize.py

lint: $(VENV)/.test
	$(BIN)/ruff format --check engine tests examples
	$(BIN)/ruff check engine tests examples

types: $(VENV)/.test
	$(BIN)/mypy

ci: lint types test-all ## everything that must hold before a change lands
	$(BIN)/waypost compile --check
	$(BIN)/waypost compile --check examples/waypost.yaml
	$(BIN)/waypost test
	@$(BIN)/python tests/generated.py --check

fix: $(VENV)/.test ## format and fix what a tool can fix
	$(BIN)/ruff format engine tests examples
	$(BIN)/ruff check --fix engine tests examples

update: $(VENV)/.test ## rewrite compiled plans, goldens and generated docs; then read the diff
	$(BIN)/python tests/generated.py

bench: $(VENV)/.test ## ratios measured in one run, at most three minutes
	@PYTHONPATH=tests $(BIN)/python -m bench
	@PYTHONPATH=tests $(BIN)/python -m bench.ingest
	@$(BIN)/python tests/bench_lint.py

bench-full: $(VENV)/.test ## the same with more rounds and up to ten million events; rewrites docs/performance.md
	@PYTHONPATH=tests $(BIN)/python -m bench --full --write

clean: ## remove the venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
