# Everything that a person or a build server does with this repository. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help setup setup-demo test unit contract integration real compiled coverage lint docs demo bench lock clean test-compose storm
MAKEFLAGS += --no-print-directory
# The tests start hundreds of processes: each would compile everything anew where an environment forbids the cache.
unexport PYTHONDONTWRITEBYTECODE

PY := .venv/bin/python
PYTEST := $(PY) -m pytest -q
# Three for each of two cores: these tests wait for other processes half of their time (with four it takes a sixth longer).
WORKERS ?= 6
# Of the fast tests alone, which wait for nothing; beside the checks of the code they have one core.
UNIT_WORKERS ?= 2
TABLES := tests/contract tests/files
REAL := tests/integration tests/e2e
# Pure rules: every branch of them is tested.
PURE := orchestrator/domain/*,orchestrator/engine/*,workers/gitops/*,webhooks/forges/*

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 20

setup-demo:
	@.ci/setup demo

setup: ## make .venv from the lock; on Debian as root also install what the tests use
	@.ci/setup

test: setup ## run everything: the checks of the code beside the fast tests, then all other tests
	$(PY) -m coverage erase
	$(MAKE) -j2 --output-sync=target lint unit compiled UNIT_WORKERS=0 COVERAGE='-p tests.support.branches'
	$(MAKE) real REAL='$(TABLES) $(REAL)' COVERAGE='-p tests.support.branches'
	$(MAKE) coverage

unit: setup ## run the fast tests: no Docker, no socket
	$(PYTEST) -n $(UNIT_WORKERS) $(COVERAGE) tests/unit

contract: setup ## run the tests over the tables of forges, notifiers, stages, and of the files that ship
	$(PYTEST) -n $(WORKERS) $(TABLES)

integration: real ## run the tests against the real engine, registry, Git, Redis and PostgreSQL

real: setup
	$(PY) .ci/in_memory.py $(PY) .ci/with_engine.py $(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(COVERAGE) $(REAL)

test-compose: setup ## run docker-compose.yml for real, with Compose 1 and 2 (as root on Debian)
	$(PY) .ci/with_compose.py $(PYTEST) -p no:randomly tests/compose tests/files/compose

storm: setup ## kill processes at random while developers push, and count (STORM_SECONDS=120 STORM_SEED=1)
	STORM_SECONDS=$${STORM_SECONDS:-120} $(PY) .ci/with_engine.py $(PYTEST) -s -p no:randomly tests/storm

# On a new checkout each of the workers would compile all of the tests. What is wrong with one, they say themselves.
compiled:
	-@$(PYTEST) --collect-only $(TABLES) $(REAL) >/dev/null

coverage:
	$(PY) -m coverage combine -q
	$(PY) -m coverage report --include='$(PURE)' --fail-under=100 --skip-covered --show-missing

lint: setup ## check style, types and the direction of imports
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: setup ## write the reference pages and the languages of the pages
	.venv/bin/pilotage docs
	$(PY) .ci/charts.py
	$(PY) .ci/language.py

demo: setup-demo ## show a whole deploy on this machine, without any service of yours
	.venv/bin/pilotage demo

bench: ## measure (BENCH='runs memory': only these)
	@.ci/setup webhook wrk
	$(PY) .ci/with_engine.py $(PY) -m tests.benchmarks $(BENCH)

lock: ## renew the locks from pyproject.toml (needs the network)
	@.ci/lock

clean: ## remove what was made here
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
	find orchestrator workers webhooks tests -name __pycache__ -type d -prune -exec rm -rf {} +
