# Every target is one line below its `##` text; `make` alone prints them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON := $(shell for name in python3.11 python3 python3.12 python3.13; do \
	"$$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v "$$name" && break; done)
# Absolute, and beside the sources: `make -C` and a caller with an environment of its own both work.
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
PROJECTS := shared $(sort $(wildcard services/*)) simulators client
PACKAGES := $(PROJECTS:%=%/pyproject.toml)
# uv does not read pip's settings: those of the environment and of pip.conf are handed over.
uv_install = setting() { $(BIN)/python -m pip config get "global.$$1" 2>/dev/null || true; }; \
	index="$${PIP_INDEX_URL:-$$(setting index-url)}"; \
	more="$${PIP_EXTRA_INDEX_URL:-$$(setting extra-index-url)}"; \
	certificates="$${PIP_CERT:-$$(setting cert)}"; links="$${PIP_FIND_LINKS:-$$(setting find-links)}"; \
	[[ -z "$$index" ]] || export UV_DEFAULT_INDEX="$$index"; \
	[[ -z "$$more" ]] || export UV_INDEX="$$more"; \
	[[ -z "$$links" ]] || export UV_FIND_LINKS="$${links// /,}"; \
	[[ -z "$$certificates" ]] || export SSL_CERT_FILE="$$certificates"; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: help
help: ## print the targets
	@sed -nE 's/^([a-z]+):[^#]*## (.*)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: demo
demo: .venv/.demo ## run a town to click through, until Ctrl-C
	@exec $(BIN)/python -m demo run

.PHONY: journey
journey: .venv/.demo ## run one whole citizen journey; exit 0 only if all of it held
	@exec $(BIN)/python -m demo journey

.PHONY: test
test: .venv/.dev ## run every test; those for which Java, Maven, Node or Chromium are missing are named
	@PATH="$(BIN):$$PATH" tests/run.sh $(ARGUMENTS)

.PHONY: check
check: .venv/.dev ## format, lint, types, import contracts, generated files, migrations, manifests
	@$(BIN)/python -m checks run

.PHONY: bench
bench: .venv/.dev ## measure, each figure beside the limit found in the same run
	@$(BIN)/python -m bench

.PHONY: chaos
chaos: .venv/.dev ## a thousand payments while providers fail and payment is killed; exit 0 if the books agree
	@$(BIN)/python -m bench.chaos

.PHONY: screenshots
screenshots: .venv/.dev ## take pictures of the main pages into docs/images, with Chromium
	@$(BIN)/python -m tests.journeys.browser.screenshots

.PHONY: flow
flow: .venv/.demo ## print who says what and who hears it
	@$(BIN)/python -m checks.flow

.PHONY: contracts
contracts: .venv/.dev ## write shared/contracts and the topics' manifest from the events
	@$(BIN)/python -m checks contracts

.PHONY: locks
locks: .venv/.dev ## resolve every requirement again and write the hash-pinned locks
	@PATH="$(BIN):$$PATH" requirements/lock.sh

.PHONY: format
format: .venv/.dev ## format the Python sources and mend what the linter can mend
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

.PHONY: clean
clean: ## remove the environment, caches and what demos left
	@rm -rf .venv .demo .demo-* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage tests/broker/kafka/jars tests/oidc/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.uv: requirements/uv.txt
	@[[ -n "$(PYTHON)" ]] || \
		{ echo "Python 3.11 or later, with its venv module, was not found" >&2; exit 1; }
	@[[ -x $(BIN)/python ]] || { echo "making .venv"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/uv.txt
	@touch $@

.venv/.demo .venv/.dev: .venv/.%: requirements/%.txt .venv/.uv $(PACKAGES)
	@echo "installing requirements/$*.txt"
	@$(uv_install) --require-hashes -r requirements/$*.txt
	@$(uv_install) --no-deps --no-build-isolation $(PROJECTS:%=--editable %)
	@# What tests need includes what the demo needs.
	@touch $@ $(if $(filter dev,$*),.venv/.demo)
