# Two commands matter: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PYTEST_ARGS ?= -n auto --dist loadfile

.PHONY: help setup demo test test-deps lint types contracts format docs lock bench clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## .venv from the lock file, with nothing but Python and pip

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "loginwatch needs Python 3.11, 3.12 or 3.13, this is %d.%d: set PYTHON=" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: setup ## the product at work in one terminal (embedded broker; Ctrl-C ends it)
	$(BIN)/loginwatch demo

test: setup ## all tests; parts of the system that are missing are skipped with a reason
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-deps: ## the system parts of the tests, from Debian's packages (as root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    openjdk-17-jre-headless maven dovecot-imapd postfix

lint: setup ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## types
	$(BIN)/mypy

contracts: setup ## which package may import which
	$(BIN)/lint-imports

format: setup ## put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## write the generated references again
	$(BIN)/python -m streams.cli docs write docs

lock: setup ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock

bench: setup ## the benchmarks
	$(BIN)/python -m benchmarks

clean: ## remove what setup made
	rm -rf $(VENV) deploy/kafka/lib
