PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup setup-bench test quickstart check clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Create .venv and install Limbeck in it, with all that tests and checks need

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Limbeck needs Python 3.11 or newer, but $(PYTHON) is %d.%d; install one and run: make setup PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	@if ! $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then \
		echo "== Creating $(VENV) with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv $(VENV); \
	fi
	@echo "== Upgrading pip"
	@$(VENV)/bin/python -m pip install --quiet --upgrade pip
	@if ! $(VENV)/bin/python -m pip show --quiet torch 2>/dev/null; then \
		echo "== Installing torch 2.13.0 (for another build, such as one for an NVIDIA GPU: install"; \
		echo "   that into $(VENV) with $(VENV)/bin/pip first, then run make setup again)"; \
		$(VENV)/bin/python -m pip install torch==2.13.0; \
	fi
	@echo "== Installing Limbeck and its libraries"
	@$(VENV)/bin/python -m pip install --editable '.[test,dev,quickstart]'
	@touch $@

test: setup ## Run the tests, with coverage; those of web pages need Chromium
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m 'not slow and not gpu' -n auto --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

quickstart: setup ## Search a small frontier of real students, in about a quarter of an hour
	$(VENV)/bin/python examples/quickstart/prepare.py .limbeck/quickstart
	$(VENV)/bin/limbeck search examples/quickstart/study.toml
	@echo "These students learned from a few thousand questions in minutes, so their accuracy is low:"
	@echo "what you saw is the path, not the quality. README.md, 'The real thing', says how to go on."

check: setup ## Check format, lint, imports, types and docs
	scripts/check

bench-optimizer: setup-bench

setup-bench: setup
	$(VENV)/bin/python -m pip install --quiet --editable '.[bench]'

bench-%: setup ## Run benchmarks/NAME, a folder or .py (bench-sampler-speed: sampler_speed); QUICK=1 for a short one
	$(VENV)/bin/python $(or $(patsubst %/,%,$(dir $(wildcard benchmarks/$(subst -,_,$*)/__main__.py))),benchmarks/$(subst -,_,$*).py) $(if $(filter 1,$(QUICK)),--quick)

clean: ## Remove caches and built packages; .venv and studies (.limbeck) stay
	rm -rf dist .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests scripts examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
