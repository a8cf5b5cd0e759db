# Two commands do all the set-up on a fresh machine: make demo, make test. All commands: make help.
PYTHON ?= python3
# The line of Airflow to install, its latest patch: 2.11, 3.0, ... 3.3.
AIRFLOW ?= 3.3
VENV ?= .venv
# The lines that test-matrix and test-triggerers go through; LINES="3.1 3.3" takes some of them.
LINES ?= 2.11 3.0 3.1 3.2 3.3
# Each line has an environment of its own; that of AIRFLOW is VENV.
venv_of = $(if $(filter $(AIRFLOW),$(1)),$(VENV),.venv-$(1))
# Older lines do not cap their dependencies, and fail with today's: these get what there was when they were released.
AS_OF_3.0 := 2025-09-05
AS_OF_3.1 := 2026-03-25
AS_OF_3.2 := 2026-06-01
AS_OF := $(AS_OF_$(AIRFLOW))
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
# A process a core. Tests that share Airflow's database stay together: see tests/integration/conftest.py.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist
PURE_TESTS := tests/unit/number_sync tests/unit/wire tests/unit/messaging $(addprefix tests/unit/operators/test_,number_sync.py number_sync_approval.py number_sync_campaign.py campaigns.py) $(addprefix tests/unit/test_,orders.py order_apis.py delivery_codes.py telephone_numbers.py readiness.py loa_files.py error_codes.py exceptions.py assets.py)

# The sync that bench-sync compares with: version 0.1.0.
BEFORE := eccd8be

# Python keeps what it has compiled, whatever an image says: else each process compiles a thousand modules of Airflow.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test unit coverage lint types docs wheel check test-browser sandbox chaos chaos-distributed mutants
.PHONY: bench bench-sync bench-triggerer test-matrix test-triggerers test-triggerer test-syncs test-approvals test-deferrals clean

help:  ## what you read now
	@echo 'Usage: make COMMAND [AIRFLOW=3.1 VENV=.venv-3.1] [LINES="3.1 3.3"]'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

demo: $(VENV)/.demo  ## the main job, end to end, against the sandbox
	@$(BIN)/python tests/system/demo.py

test: $(VENV)/.test  ## unit and integration tests
	$(PYTEST) loadgroup

unit: $(VENV)/.test  ## unit tests only, without those that try hundreds of inputs or walks
	$(PYTEST) worksteal -m "not many_inputs and not random_walk" tests/unit

coverage: $(VENV)/.test  ## every branch of the pure core is tested
	$(BIN)/coverage run -m pytest -q -m "not many_inputs" $(PURE_TESTS)
	$(BIN)/coverage report

docs: $(VENV)/.test  ## the tables of docs/ that are made from code
	$(BIN)/python tests/support/docs_tables.py

lint: $(VENV)/.lint  ## ruff, and nothing unused
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vulture

types: $(VENV)/.lint  ## mypy, strict
	$(BIN)/mypy

wheel: $(VENV)/.lint  ## build wheel and sdist, check what is in them, and run the demo from the wheel alone
	rm -rf dist $(VENV)-wheel
	$(BIN)/uv build --quiet --python $(BIN)/python
	$(BIN)/python tests/system/check_wheel.py dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/uv venv --quiet --python $(BIN)/python $(VENV)-wheel
	$(BIN)/uv pip install --quiet --python $(VENV)-wheel/bin/python "$$(ls dist/*.whl)[sandbox]"
	$(VENV)-wheel/bin/python tests/system/demo.py
	rm -rf $(VENV)-wheel

check: lint types coverage test wheel  ## everything a contributor needs to see green

test-browser: $(VENV)/.test  ## form, log, XComs, links, a person's decisions in Chromium; screenshots in output/browser
	$(INSTALL) --group browser
	$(BIN)/python tests/system/$(if $(filter 2.%,$(AIRFLOW)),browser_of_airflow_2,browser).py

sandbox: $(VENV)/.demo  ## the sandbox Dashboard on port 8085
	$(BIN)/python -m airflow_provider_bandwidth.sandbox

chaos: $(VENV)/.test  ## exactly one order: longer random walks with new seeds, and killed tasks in real Airflow
	$(BIN)/python -m pytest -q -m hypothesis --hypothesis-seed $$(date +%s) tests/unit
	$(BIN)/python tests/system/chaos.py

chaos-distributed: $(VENV)/.test  ## the same with Celery, Redis and PostgreSQL; kills a worker and the triggerer
	$(INSTALL) --group chaos
	$(BIN)/python tests/system/chaos_distributed.py

bench: $(VENV)/.test  ## every benchmark program; prints ratios
	$(INSTALL) --group bench
	@for program in tests/benchmarks/*.py; do echo "== $$program"; $(BIN)/python $$program || exit 1; done

bench-triggerer: $(VENV)/.test  ## a real triggerer with 1,000 deferred sensors; an hour on two cores
	$(INSTALL) --group chaos
	$(BIN)/python tests/system/many_waiting.py

test-matrix:  ## unit and integration tests on every supported line of Airflow, or on LINES
	@$(foreach line,$(LINES),echo "== Airflow $(line)"; \
		$(MAKE) --no-print-directory test AIRFLOW=$(line) VENV=$(call venv_of,$(line)) &&) true

test-triggerers:  ## 20 deferred sensors on the real triggerer of every supported line of Airflow, or of LINES
	@rm -f output/triggerers.md
	@failed=; $(foreach line,$(LINES),echo "== Airflow $(line)"; \
		$(MAKE) --no-print-directory test-triggerer AIRFLOW=$(line) VENV=$(call venv_of,$(line)) || failed=yes;) \
	echo; cat output/triggerers.md; test -z "$$failed"

test-triggerer: $(VENV)/.test
	@mkdir -p output
	$(BIN)/python tests/system/triggerers.py --table output/triggerers.md

test-syncs: $(VENV)/.test  ## three syncs of one SIP peer together, on a real scheduler: one set of orders
	$(BIN)/python tests/system/two_syncs.py

test-approvals: $(VENV)/.test  ## a person decides on plans, by REST and in Chromium; screenshots in output/approvals
	$(INSTALL) --group browser
	$(BIN)/python tests/system/approvals.py

bench-sync: $(VENV)/.test  ## what a sync costs a real Airflow, beside 0.1.0, and a first load of a million numbers; two hours
	$(BIN)/python tests/system/sync_load.py cost --before $(BEFORE)
	$(BIN)/python tests/system/sync_load.py first-load

test-deferrals: $(VENV)/.test  ## 200 deferrals of a few seconds under load: no task is retried
	$(BIN)/python tests/system/short_deferrals.py

mutants: $(VENV)/.test  ## a hundred random changes of the code, and how many of them the unit tests notice
	$(BIN)/python tests/system/mutants.py

clean:  ## remove the environments and all that was made
	rm -rf $(VENV) .venv-* dist output .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/uv:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Debian's python3 comes without venv: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/.demo: pyproject.toml | $(BIN)/uv
	$(INSTALL) $(if $(AS_OF),--exclude-newer $(AS_OF)) 'apache-airflow==$(AIRFLOW).*'
	$(INSTALL) --editable '.[sandbox]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(INSTALL) --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	$(INSTALL) --group lint --group build
	@touch $@
