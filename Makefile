# Two commands for a newcomer: `make demo` and `make test`. Everything they need is set up by them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo up test check setup lock clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: $(VENV)/.ready ## Make the virtual environment from the lock file

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "geartrain needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: setup ## Take two products from contract to a served, monitored, retrained model
	@$(BIN)/geartrain demo

up: setup ## Keep everything of the demo running: API, room, workers, monitor
	@$(BIN)/geartrain up --workspace geartrain-demo/.geartrain

# Hundreds of processes are started and killed: each would compile the whole package again. By files,
# in the order of tests/conftest.py, what a module builds is built once.
test: export PYTHONDONTWRITEBYTECODE =
test: setup ## Every check: style, types, architecture, tests, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers auto
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# torch and spark are left out: gigabytes that few need; signing, whose sigstore pip cannot pin by hash. Their tests say so where they are not installed.
EXTRAS := fairness grpc kafka openid postgres redis sql

lock: ## Renew the lock file
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group dev $(EXTRAS:%=--extra %) pyproject.toml -o requirements.lock

clean: ## Remove what was made here, but not your workspaces
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
