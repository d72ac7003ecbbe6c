# Every target sets up what it needs. The machine brings Python 3.11 or later, pip and make, nothing else.

VENV ?= .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := python -m pip install --quiet --disable-pip-version-check
SUITABLE := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$candidate -c '$(SUITABLE)' 2>/dev/null && echo $$candidate && break; done)
# More arguments for pytest or for the benchmarks: make test ARGS="tests/unit -x"
ARGS ?=

# Tests wait for servers a good part of their time: one more at a time than there are cores.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# Tests and benchmarks start many processes: where Python may not keep what it compiles, each compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo up bot test check soak bench bench-peers clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## the virtual environment, again when pyproject.toml or constraints.txt changed

demo: $(INSTALLED) ## bot, Redis, workers and Postgres on this machine; prints a trace and the closed account
	@$(BIN)/tracequeue demo

up: $(INSTALLED) ## Redis, Postgres and a worker for your own bot; Ctrl-C stops them, .tracequeue/ keeps the data
	@$(BIN)/tracequeue up

bot: $(INSTALLED) ## the reference bot with stand-ins for Telegram and the models; prints how to talk to it
	@$(BIN)/python -m examples.bot.with_stand_ins

test: $(INSTALLED) ## the whole suite, on real servers
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(INSTALLED) ## lint, format, types, import boundaries
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

soak: $(INSTALLED) ## bots and workers under random faults, then the account: make soak ARGS="--seconds 600 --seed 7"
	@$(BIN)/python -m tests.soak $(ARGS)

bench: $(INSTALLED) ## the benchmarks, against the budgets; with the peers where `make bench-peers` brought them
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(INSTALLED) ## what the benchmarks compare with, in environments of their own; make bench-peers AGENTA=CHECKOUT for that one
	@for peer in caller phoenix mlflow $(if $(AGENTA),agenta); do \
		echo "Installing into $(PEERS)/$$peer"; \
		test -x $(PEERS)/$$peer/bin/python || $(PYTHON) -m venv $(PEERS)/$$peer || exit 1; \
		$(PEERS)/$$peer/bin/$(PIP) -r benchmarks/peers/$$peer.txt || exit 1; \
	done
	@$(PEERS)/caller/bin/$(PIP) -e . -c benchmarks/peers/caller.txt
ifdef AGENTA
	@$(PEERS)/agenta/bin/$(PIP) --no-deps $(AGENTA)/clients/python $(AGENTA)/sdks/python
	@ln -sfn $(abspath $(AGENTA)) $(PEERS)/agenta/checkout
endif

clean: ## remove the virtual environment and the caches; .tracequeue/ holds your traces and stays
	rm -rf $(VENV) $(PEERS) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later is on PATH: install one, or run: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c '$(SUITABLE)' || { echo "$(PYTHON) is not Python 3.11 or later: run: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV)"
	@$(BIN)/$(PIP) -e '.[dev]' -c constraints.txt
	@touch $@
