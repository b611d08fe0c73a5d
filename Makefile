# SPDX-License-Identifier: MIT
# make demo     set up and show the main job on a real configuration
# make test     set up and run all tests
# make lint     ruff and mypy
# make manuals  write docs/man and completions/ anew
# make docs     the site, and a man page for each rule, into build/docs
# make fuzz     mutated ELF files against the scanner
# make kconfig-oracle TREES="DIR..."   compare every symbol with the kernel's own conf, some 350 configurations a tree
# make proposals-oracle TREES="DIR..."   try every way out with the kernel's own conf, 360 questions a tree
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

# BTFCHECK_PAHOLES=DIR holds later paholes, each as DIR/pahole-1.30/pahole (tests/fetch-paholes DIR).
accept: dev
	$(PYTHON) -m pytest -m accept $(PYTEST_ARGS)
	HYPOTHESIS_PROFILE=long $(PYTHON) -m pytest -n 2 -k "any_text or any_bytes"

# What CI runs of it: minutes, not an hour.
accept-short: dev
	$(PYTHON) -m pytest -m "accept and not slow" $(PYTEST_ARGS)

# Mutated ELF files: no crash, no hang, no memory beyond the limit.
fuzz: dev
	$(PYTHON) tests/fuzz_scan.py

# Every symbol against the kernel's own conf; TREES are kernel sources, CONFIGS configurations to try.
TREES ?=
CONFIGS ?=
.PHONY: kconfig-oracle
kconfig-oracle: dev
	@test -n "$(TREES)" || { echo "TREES=/usr/src/linux-source-6.12 ... is needed"; exit 2; }
	for tree in $(TREES); do $(PYTHON) tests/kconfig-oracle $$tree $(CONFIGS) --random 200 --damaged 100 || exit 1; done
	$(PYTHON) tests/kconfig-fuzz $(TREES) --count 2000 --seed $$(date +%s)

# Every way out, and all that is called impossible, tried with the kernel's own conf.
.PHONY: proposals-oracle
proposals-oracle: dev
	@test -n "$(TREES)" || { echo "TREES=/usr/src/linux-source-6.12 ... is needed"; exit 2; }
	for tree in $(TREES); do $(PYTHON) tests/proposals-oracle $$tree $(CONFIGS) || exit 1; done

# The pages of rules, kinds, messages and verbs are made on the way, by docs/pages.py.
.PHONY: docs
docs:
	@scripts/venv $(VENV) docs
	$(PYTHON) -m sphinx -W --keep-going -q -b html -d build/docs/doctrees docs build/docs/html
	$(PYTHON) -m sphinx -W --keep-going -q -b man -d build/docs/doctrees docs build/docs/man

# Man pages and completions, made from the parsers.
.PHONY: manuals
manuals: dev
	$(PYTHON) scripts/manuals

.PHONY: dev
dev:
	@scripts/venv $(VENV) dev

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
