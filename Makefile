# Two commands matter: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
# in the gate a test that fails is run once more, of three at most, and what it said the first time is printed (CONTRIBUTING.md)
ONCE_MORE := --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks
PYTEST_ARGS ?= -n auto --dist loadfile --max-worker-restart 0 $(if $(CI),$(ONCE_MORE))

.PHONY: help setup compile demo test test-deps lint types contracts format dovecot24 docs screenshots site package sbom licences audit lock bench bench-smoke clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## .venv from the lock file, with nothing but Python and pip

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "loginwatch needs Python 3.11, 3.12 or 3.13, this is %d.%d: set PYTHON=" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

compile: setup ## the worker's hot path in machine code, about 20 s where it is not there; so that no start must do it
	$(BIN)/loginwatch worker --compile

demo: compile ## the product at work in one terminal (embedded broker; Ctrl-C ends it)
	$(BIN)/loginwatch demo

dovecot24: ## a real Dovecot 2.4 in .dovecot24 for the tests, by debootstrap (as root, about a minute)
	tests/dovecot24 .dovecot24

test: compile ## all tests; parts of the system that are missing are skipped with a reason
	$(if $(wildcard .dovecot24),DOVECOT24_ROOT=$(CURDIR)/.dovecot24) $(BIN)/python -m pytest $(PYTEST_ARGS)

test-deps: ## the system parts of the tests, from Debian's packages (as root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    openjdk-17-jre-headless maven \
	    dovecot-imapd dovecot-pop3d dovecot-submissiond dovecot-managesieved postfix jq debootstrap \
	    chromium fonts-noto-color-emoji postgresql prometheus docker-compose systemd

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

docs: setup ## write the generated references and dashboards again
	$(BIN)/python -m streams.cli docs write docs
	$(BIN)/python -m deploy.grafana.make

screenshots: setup ## the pictures of docs/screenshots, made anew in Debian's Chromium
	$(BIN)/python -m tests.panel.browser.screenshots

site: setup ## the documentation as a web site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

package: setup ## wheel and sdist in dist/, tried in a clean environment
	deploy/check-package

sbom: setup ## what is in it, as CycloneDX JSON
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o dist/loginwatch.cdx.json $(BIN)/python

licences: setup ## the licences of all dependencies
	mkdir -p dist
	$(BIN)/pip-licenses --format=markdown --output-file dist/licences.md

audit: setup ## known vulnerabilities of the pinned versions (asks a public database)
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip

lock: setup ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock

bench: compile ## the benchmarks
	$(BIN)/python -m benchmarks

bench-smoke: compile ## small ones, in under 3 minutes: fails when the worker costs more beside the raw loop than recorded
	$(BIN)/python -m benchmarks smoke

clean: ## remove what setup made
	rm -rf $(VENV) deploy/kafka/lib
