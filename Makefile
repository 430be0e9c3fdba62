# Everything runs in environments of its own, made from the lock files on first use. Variables on
# the command line are passed to the tools: make run ONCE=1, make run SETTLE_SECONDS=1
# HOLD_SECONDS=60 (how often unknown refunds are checked, and the late-arrival window), make run
# PROCESSOR=hyperswitch (or hedge, ccg, hitpay), make deploy STAGE=sandbox.
PYTHON ?= python3
# With another interpreter, PYTHON=python3.13, there are separate environments.
INTERPRETER = $(if $(filter python3,$(PYTHON)),python3,"$$(sh local/find_python.sh $(PYTHON))")
export ENVIRONMENTS_OF := $(if $(filter python3,$(PYTHON)),,-$(notdir $(PYTHON)))
# The tests start hundreds of processes; without bytecode each compiles again what it imports.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv$(ENVIRONMENTS_OF)/bin
ENVS := .local/envs$(ENVIRONMENTS_OF)
.DEFAULT_GOAL := help
# Options of a simulation: SEEDS=20000 worlds from seed FROM=50000 on (by default from a fixed one),
# or SEED=123 to repeat one world with its trace; PROCESSOR=ccg to have all payments at one
# processor.
SIMULATION = $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000) --from $(or $(FROM),0)) \
	$(if $(PROCESSOR),--processor $(PROCESSOR))
# The tests of one stack run in one process (tests/conftest.py). Tests of the deployed system mostly
# wait, so two processors are enough for five processes.
PYTEST = $(VENV)/python -m pytest -q -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder --durations 10
.PHONY: help env run tour check test tests-light tests-all simulate mutate bench load build deploy \
	lint audit screenshot lock clean

help: ## Show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | \
		awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

env: $(VENV)/refundctl $(ENVS)/functions/installed \
	$(ENVS)/sam/installed $(ENVS)/emulator/installed $(ENVS)/policy/installed
env: ## Install the environments, or bring them up to date
	@:

# The groups are in pyproject.toml, their versions and hashes in requirements/. Building a source
# distribution would run its author's code, so only wheels are installed.
LOCKED = --quiet --require-hashes --only-binary :all:
UV = $(VENV)/uv --no-config --no-python-downloads
# If pip is set up with a mirror, uv must use it too; uv does not read pip's settings.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
VERSION = $(or $(shell $(INTERPRETER) -c 'import sys; v = sys.version_info[:2]; \
	print("%d.%d" % v if v >= (3, 11) else "")'),$(error Python 3.11 or newer is needed; $(PYTHON) is none))
.SECONDEXPANSION:
.DELETE_ON_ERROR:

# With another interpreter the environments are made anew; with another lock file they are updated.
$(VENV)/python3.%:
	@echo "making the environments of Python 3.$*"
	@rm -rf $(VENV:/bin=) $(ENVS)
	@$(INTERPRETER) -I -m venv $(VENV:/bin=)

$(VENV)/uv: requirements/uv.txt $(VENV)/python$$(VERSION)
	@echo "installing uv"
	@$(VENV)/python -I -m pip install --disable-pip-version-check $(LOCKED) -r $<
	@touch $@

# Two lines of shell instead of an installed package: nothing has to be built, and from any
# directory it runs the checkout as it is now.
$(VENV)/refundctl: requirements/main.txt $(VENV)/uv
	@echo "installing dev"
	@$(UV) pip install --exact $(LOCKED) --python $(VENV)/python --group dev --group uv \
		-c requirements/main.txt -c requirements/uv.txt
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s" -P -m refundctl "$$@"\n' \
		"$(CURDIR):$(CURDIR)/layers/product" "$(CURDIR)/$(VENV)/python" > $@
	@chmod +x $@

$(ENVS)/%/installed: $(VENV)/uv
	@echo "installing $*"
	@$(VENV)/python -I -m venv --without-pip $(@D)
	@$(UV) pip install --exact $(LOCKED) --python $(@D)/bin/python --group $* -c $(filter %.txt,$^)
	@touch $@

$(ENVS)/sam/installed: requirements/sam.txt
$(ENVS)/emulator/installed: requirements/emulator.txt
$(ENVS)/policy/installed: requirements/policy.txt
$(ENVS)/audit/installed $(ENVS)/bench/installed: requirements/main.txt

# An empty environment for the functions: they get all their packages from layers.
$(ENVS)/functions/installed: $(VENV)/uv
	@$(VENV)/python -I -m venv --without-pip $(@D)
	@touch $@

run: env ## Start everything here, refund a demo payment (PROCESSOR=ccg), serve (ONCE=1: stop)
	@PYTHONPATH=layers/product $(VENV)/python -m local.run

tour: env ## Use every way in and show every way out, once, on this machine
	@PYTHONPATH=layers/product $(VENV)/python -m local.tour

# Environments that are not needed at once are installed meanwhile.
check: ## After every edit: lint, types, template, and all tests that start nothing heavy
	@$(MAKE) --no-print-directory -j 3 lint tests-light

test: ## Prove everything: lint, types, template, all tests
	@$(MAKE) --no-print-directory -j 3 lint tests-all

tests-light: PROCESSES ?= 3
tests-light: env $(ENVS)/compiled
	$(PYTEST) -m "not heavy" tests/unit tests/property tests/template tests/contract tests/simulation

tests-all: PROCESSES ?= 5
tests-all: env $(ENVS)/compiled
	$(PYTEST)

# Else each of the processes compiles all that the tests import, at the same time.
$(ENVS)/compiled: $(VENV)/refundctl
	@$(VENV)/python -m pytest -q --collect-only > $@ || { cat $@; exit 1; }

simulate: env ## Refund in simulated worlds where everything fails: SEEDS=20000 FROM=0, or SEED=123
	@PYTHONPATH=layers/product $(VENV)/python -m tests.simulation $(SIMULATION)

mutate: env ## Change the money's code bit by bit, some test must notice: MODULES="settle report"
	@PYTHONPATH=layers/product $(VENV)/python -m tests.mutation $(MODULES)

lint: $(VENV)/refundctl ## Check style, types and the template
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy .
	$(VENV)/cfn-lint --regions ap-southeast-1 -- template.yaml monitoring/template.yaml

audit: env $(ENVS)/audit/installed ## Ask PyPI which pinned packages have known vulnerabilities (needs the network)
	@$(VENV)/python -m deploying.audit

bench: env $(ENVS)/bench/installed ## Measure against the plain way and the aims: PARTS="latency cpu" measures these anew
	@PYTHONPATH=layers/product $(VENV)/python -m benchmarks $(PARTS)

load: env $(ENVS)/bench/installed ## Drive the local cloud: a stream with bursts, a provider outage, recovery
	@PYTHONPATH=layers/product $(VENV)/python -m benchmarks.load

build: env ## Build functions and layers for this machine, as `run` and `test` use them
	@$(VENV)/python -m deploying.build

deploy: env ## Deploy to AWS: make deploy STAGE=sandbox
	@PYTHONPATH=layers/product $(VENV)/python -m deploying.release

screenshot: env ## Take the README's picture of the console anew (needs a Chromium)
	@SCREENSHOT=docs/console.png $(VENV)/python -m pytest -q tests/browser/test_console_picture.py

lock: env ## Pin what pyproject.toml asks for, with hashes; what is pinned already stays
	@$(LOCK) layer -o layers/dependencies/requirements.txt
	@$(LOCK) uv -o requirements/uv.txt
	@$(LOCK) dev --group audit --group bench -c layers/dependencies/requirements.txt -o requirements/main.txt
	@$(LOCK) sam -o requirements/sam.txt
	@$(LOCK) emulator -o requirements/emulator.txt
	@$(LOCK) policy -o requirements/policy.txt

# For every Python from 3.11 on and every platform.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--custom-compile-command "make lock" --group

clean: ## Remove what was built and installed
	rm -rf .venv .venv-* .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
