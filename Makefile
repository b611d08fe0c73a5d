# SPDX-License-Identifier: MIT
# make demo     set up and show the main job on a real configuration
# make test     set up and run all tests
# make lint     ruff and mypy
# make accept   the long runs: real kernels, the live bpf() oracle (needs ../shared; some need root)

VENV ?= .venv
PYTHON := $(VENV)/bin/python
PYTEST_ARGS ?=

.PHONY: demo test lint accept accept-short fuzz clean

demo:
	@scripts/venv $(VENV)
	@scripts/demo $(VENV)/bin/btfcheck

test: dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -n 2 $(PYTEST_ARGS)

lint: dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

accept: dev
	HYPOTHESIS_PROFILE=long $(PYTHON) -m pytest -m accept $(PYTEST_ARGS)
	HYPOTHESIS_PROFILE=long $(PYTHON) -m pytest -n 2 -k "any_text or any_bytes"

.PHONY: dev
dev:
	@scripts/venv $(VENV) dev

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
