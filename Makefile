# Everything from a clean clone: `make demo` and `make run` need Python 3.13 and Node.js, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Tests and stacks start many processes: without kept bytecode, each compiles all sources again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup demo run test test-all durations check bench cost docs mutate bridges infra package requirements sim soak planted reliability
PY := .venv/bin/python
PYTEST := $(PY) -m pytest -n 2 --dist worksteal
RUN_STAMP := .venv/.installed-local
VENV_STAMP := .venv/.installed
CLI_STAMP := .venv/.installed-cli
NODE_STAMP := local/node_modules/.installed
CONSOLE_STAMP := console/dist/.built
CONSOLE_SOURCES := $(wildcard console/*.json console/*.html console/*.ts console/public/* console/src/*.ts* console/src/*.css console/src/api/client.ts console/src/pages/*.tsx)
KUSTO_STAMP := tests/infra/node_modules/.installed
CHECKOV_STAMP := build/tools/checkov/.installed
SITE_STAMP := build/tools/site/.installed
UV_STAMP := build/tools/uv/.installed
REQUIREMENTS := requirements requirements-local requirements-dev infra/tools/checkov-requirements infra/tools/uv-requirements site/requirements

NEED_NODE := command -v node >/dev/null && command -v npm >/dev/null || \
	{ echo "make: node and npm were not found. Install Node.js 20 or later with npm (https://nodejs.org), then repeat the command." >&2; exit 1; }

# $(call number,NAME,EXAMPLE): fails if the variable NAME is set to another text than a number.
number = case '$($1)' in *[!0-9]*) echo 'make: $1=$($1) is no whole number. Write $1=$2, for example.' >&2; exit 1;; esac
# $(call found,NAME): fails if the variable NAME is set to a path that does not exist.
found = if [ -n '$($1)' ] && ! [ -e '$($1)' ]; then echo 'make: $1=$($1) does not exist. Write the path of the program, or leave $1 out.' >&2; exit 1; fi

help:
	@echo "make setup   install what the tests and checks need; make demo and make run install less"
	@echo "make demo    start everything with fresh data, play a meeting, show what it cost; KEEP=1 serves on"
	@echo "make run     serve until Ctrl-C; PORT=7071 DATA=build/data SEED=demo|none"
	@echo "make test    the base tests: unit, contract, end to end, a short simulator run, infrastructure"
	@echo "make test-all  the extended tests, which are the others, and the planted bugs (minutes)"
	@echo "make bridges a real Asterisk plays docs/bridges/asterisk.md; part of make test-all"
	@echo "make durations  the tables of docs/testing.md from the last make test and make test-all"
	@echo "make sim     one history of the simulator, step by step; SEED=7 STEPS=30"
	@echo "make soak    new histories until time is up, then a year of accounts; MINUTES=10 ACCOUNTS=2000"
	@echo "make planted deliberate bugs, each of which must turn the tests red (minutes)"
	@echo "make reliability  docs/reliability.md from the figures of the tests and of make planted"
	@echo "make bench   figures beside their baselines; ONLY=name, or the beginning of one"
	@echo "make docs    the site of the documentation, into build/site"
	@echo "make cost    what a leg costs in Azure, into docs/cost.md"
	@echo "make mutate  mutation testing of money and rating (minutes)"
	@echo "make check   ruff, mypy, import-linter, and the style of texts (docs/style)"
	@echo "make infra   templates, workflows, queries, security rules; BICEP=path of the compiler"
	@echo "make requirements  requirements*.txt with hashes, of what requirements*.in pin"
	@echo "make package the zip that is deployed, tried in an empty folder"

setup: $(VENV_STAMP) $(CLI_STAMP) $(NODE_STAMP) $(KUSTO_STAMP) $(CONSOLE_STAMP)

$(RUN_STAMP): requirements-local.txt
	@if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then \
	  for python in python3.13 python3 python; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then \
	      found=$$python; break; \
	    fi; \
	  done; \
	  if [ -z "$${found:-}" ]; then echo "make: Python 3.13 was not found. Install it (https://www.python.org/downloads), so that python3.13 is on the PATH, then repeat the command." >&2; exit 1; fi; \
	  $$found -m venv --clear .venv; \
	fi
	@echo "installing what runs into .venv"
	@$(PY) -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements-local.txt
	@touch $@

$(VENV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@echo "installing what tests and checks into .venv"
	@$(PY) -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(CLI_STAMP): cli/pyproject.toml $(RUN_STAMP)
	@echo "installing the command line perminute into .venv"
	@$(PY) -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation --editable ./cli
	@touch $@

$(NODE_STAMP): local/package.json local/package-lock.json
	@$(NEED_NODE)
	@echo "installing Azurite into local/node_modules"
	@cd local && npm ci --no-progress --loglevel=error </dev/null
	@touch $@

console/node_modules/.installed: console/package.json console/package-lock.json
	@$(NEED_NODE)
	@echo "installing what builds the console into console/node_modules"
	@cd console && npm ci --no-progress --loglevel=error </dev/null
	@touch $@

$(CONSOLE_STAMP): $(CONSOLE_SOURCES) console/node_modules/.installed
	@echo "building the console into console/dist"
	@mkdir -p build
	@cd console && npm run --silent build >../build/console.log 2>&1 || { cat ../build/console.log >&2; exit 1; }
	@touch $@

$(KUSTO_STAMP): tests/infra/package.json tests/infra/package-lock.json
	@$(NEED_NODE)
	@echo "installing the Kusto analyser into tests/infra/node_modules"
	@cd tests/infra && npm ci --no-progress --loglevel=error </dev/null
	@touch $@

$(CHECKOV_STAMP): infra/tools/checkov-requirements.txt | $(VENV_STAMP)
	@echo "installing Checkov into build/tools/checkov"
	@$(PY) -m venv --clear build/tools/checkov
	@build/tools/checkov/bin/pip install --quiet --no-input --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(UV_STAMP): infra/tools/uv-requirements.txt | $(VENV_STAMP)
	@$(PY) -m venv --clear build/tools/uv
	@build/tools/uv/bin/pip install --quiet --no-input --disable-pip-version-check --require-hashes -r $<
	@touch $@

site/node_modules/.installed: site/package.json site/package-lock.json
	@$(NEED_NODE)
	@echo "installing what draws the diagrams of the site into site/node_modules"
	@cd site && npm ci --no-progress --loglevel=error </dev/null
	@touch $@

$(SITE_STAMP): site/requirements.txt site/node_modules/.installed | $(RUN_STAMP)
	@echo "installing what builds the site into build/tools/site"
	@$(PY) -m venv --clear build/tools/site
	@build/tools/site/bin/pip install --quiet --no-input --disable-pip-version-check --require-hashes -r $<
	@touch $@

demo: $(RUN_STAMP) $(CLI_STAMP) $(NODE_STAMP) $(CONSOLE_STAMP)
	@KEEP=$(KEEP) $(PY) -m local.demo

run: $(RUN_STAMP) $(CLI_STAMP) $(NODE_STAMP) $(CONSOLE_STAMP)
	@exec $(PY) -m local.run

test: setup
	@$(PYTEST) -m "not extended" --junitxml=build/test.xml tests

# A real Asterisk is measured against the clocks of its phones, so it runs alone. The others run
# three at a time on two cores: browsers and brokers mostly wait. Only files with an extended test
# are imported.
test-all: setup $(SITE_STAMP)
	@$(PY) -m pytest -ra -m extended --junitxml=build/bridges.xml tests/bridges/test_asterisk.py
	@$(PY) -m pytest -n 3 --dist loadscope --no-loadscope-reorder -m extended \
	  --junitxml=build/test-all.xml \
	  $$(grep -rl 'mark\.extended' tests --include='test_*.py' --exclude=test_asterisk.py)
	@$(PY) -m tests.planted

# Says so and skips where Asterisk can not be installed; REQUIRE_ASTERISK=1 fails there instead.
bridges: setup
	@$(PY) -m pytest -q -ra -m extended tests/bridges

durations: setup
	@$(PY) -m tests.durations

sim: setup
	@$(call number,SEED,7)
	@$(call number,STEPS,30)
	@$(PY) -m tests.sim --log --seed $(or $(SEED),0) $(if $(STEPS),--steps $(STEPS))

soak: setup
	@$(call number,MINUTES,10)
	@$(call number,ACCOUNTS,2000)
	@$(PY) -m tests.sim --jobs 2 --minutes $(or $(MINUTES),10) --seeds $$(date +%s) 0
	@$(PY) -m tests.unit.credits.year $(or $(ACCOUNTS),2000) $$(date +%s)

planted: setup
	@$(PY) -m tests.planted

reliability: setup
	@$(PY) -m tests.reliability

check: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy --strict shared functions local infra/tools function_app.py cli/perminute_cli
	@.venv/bin/lint-imports
	@$(PY) -m tests.prose

bench: setup
	@$(PY) -m tests.bench $(if $(ONLY),ONLY=$(ONLY))

docs: $(SITE_STAMP)
	@NO_MKDOCS_2_WARNING=1 build/tools/site/bin/python -m mkdocs build --strict

cost: setup
	@$(PY) -m tests.bench.cost

mutate: setup
	@$(PY) -m tests.mutation

infra: setup $(CHECKOV_STAMP)
	@$(call found,BICEP)
	@$(PYTEST) tests/infra
	@$(PY) -m infra.tools.checkov build/tools/checkov/bin/checkov
	@$(MAKE) --no-print-directory package

package: setup
	@$(PY) -m infra.tools.package $(if $(RELEASE),--release "$$RELEASE")
	@$(PY) -m infra.tools.try_package

requirements: $(UV_STAMP)
	@for name in $(REQUIREMENTS); do \
	  build/tools/uv/bin/uv pip compile --quiet --no-deps --no-annotate --generate-hashes \
	    --universal --python-version 3.13 --custom-compile-command "make requirements" \
	    --output-file $$name.txt $$name.in; \
	done
