# Everything runs in environments of its own, made from the lock files on first use. Variables given
# on the command line reach the tools: make run ONCE=1, make run SETTLE_SECONDS=1 HOLD_SECONDS=60
# (how often unknown refunds are looked up, and for how long), make run PROCESSOR=hyperswitch (or hedge,
# ccg, hitpay), make deploy STAGE=sandbox.
PYTHON ?= python3
# An interpreter that is asked for by name, PYTHON=python3.13, has environments of its own.
INTERPRETER = $(if $(filter python3,$(PYTHON)),python3,"$$(sh local/find_python.sh $(PYTHON))")
export ENVIRONMENTS_OF := $(if $(filter python3,$(PYTHON)),,-$(notdir $(PYTHON)))
VENV := .venv$(ENVIRONMENTS_OF)/bin
.DEFAULT_GOAL := help
# What a simulation is asked: SEEDS=20000 worlds from seed FROM=50000 on (without it, from a fixed
# one), or SEED=123, one again with its trace; PROCESSOR=ccg if all payments are to be there.
SIMULATION = $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000) --from $(or $(FROM),0)) \
	$(if $(PROCESSOR),--processor $(PROCESSOR))
# The tests of one stack share a process (tests/conftest.py). Those of the deployed system mostly
# wait, so that two processors have time for three processes.
PYTEST = $(VENV)/python -m pytest -q -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder --durations 10
.PHONY: help env run tour check test tests-light tests-all simulate mutate bench load build deploy \
	lint audit screenshot lock clean

help: ## Show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | \
		awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

env: ## Install the environments, or bring them up to date
	@$(INTERPRETER) -m local.environments

run: env ## Start everything here, refund a demo payment (PROCESSOR=ccg), serve (ONCE=1: stop)
	@PYTHONPATH=layers/refunds $(VENV)/python -m local.run

tour: env ## Use every way in and show every way out, once, on this machine
	@PYTHONPATH=layers/refunds $(VENV)/python -m local.tour

check: env ## After every edit: lint, types, template, and all tests that start nothing heavy
	@$(MAKE) --no-print-directory -j 2 lint tests-light

test: env ## Prove everything: lint, types, template, all tests
	@$(MAKE) --no-print-directory -j 2 lint tests-all

tests-light: PROCESSES ?= 2
tests-light: env
	$(PYTEST) -m "not heavy" tests/unit tests/property tests/template tests/contract tests/simulation

tests-all: PROCESSES ?= 3
tests-all: env
	$(PYTEST)

simulate: env ## Refund in simulated worlds where everything fails: SEEDS=20000 FROM=0, or SEED=123
	@PYTHONPATH=layers/refunds $(VENV)/python -m tests.simulation $(SIMULATION)

mutate: env ## Change the money's code bit by bit, some test must notice: MODULES="settle report"
	@PYTHONPATH=layers/refunds $(VENV)/python -m tests.mutation $(MODULES)

lint: env ## Check style, types and the template
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy .
	$(VENV)/python -m local.validate

audit: env ## Ask PyPI which pinned packages have known vulnerabilities (needs the network)
	@$(INTERPRETER) -m local.environments audit
	@$(VENV)/python -m local.audit

bench: env ## Measure against the plain way and the aims: PARTS="latency cpu" measures these anew
	@$(INTERPRETER) -m local.environments bench
	@PYTHONPATH=layers/refunds $(VENV)/python -m benchmarks $(PARTS)

load: env ## Drive the local cloud: a stream with bursts, a provider outage, recovery
	@$(INTERPRETER) -m local.environments bench
	@PYTHONPATH=layers/refunds $(VENV)/python -m benchmarks.load

build: env ## Build functions and layers for this machine, as `run` and `test` use them
	@$(VENV)/python -m local.build

deploy: env ## Deploy to AWS: make deploy STAGE=sandbox
	@PYTHONPATH=layers/refunds $(VENV)/python -m local.release

screenshot: env ## Take the README's picture of the console anew (needs a Chromium)
	@SCREENSHOT=docs/console.png $(VENV)/python -m pytest -q tests/browser/test_console_picture.py

lock: env ## Resolve the requirements anew and pin them with their hashes
	@$(VENV)/python -m local.lock

clean: ## Remove what was built and installed
	rm -rf .venv .venv-* .local .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
