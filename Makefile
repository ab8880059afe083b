# contactlake. `make` alone lists the targets; what they presume is Python 3.11 to 3.13, Java 17 and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CLASSES := $(VENV)/.classes
JARS := $(VENV)/.jars
ARGS ?=

DEMO_START := 2025-03-04
DEMO_AS_OF := 2025-03-12T06:00:00Z
DEMO_CONFIG := conf/local.toml

# Everything here runs on the Spark in .venv with the settings in conf/, whatever else is installed.
unexport SPARK_HOME SPARK_CONF_DIR PYSPARK_SUBMIT_ARGS PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check format docs bench wheel clean java

help:
	@echo "contactlake: what there is to make"
	@echo
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' $(firstword $(MAKEFILE_LIST)) | while read -r target words; do \
	  printf '  make %-8s %s\n' "$$target" "$$words"; done
	@echo
	@echo "PYTHON=... names another Python; ARGS=... goes to pytest or to the bench."

setup: $(CLASSES) ## Make .venv with the package and all that its development needs.

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
	  echo "contactlake needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is: $$($(PYTHON) --version 2>&1 || true)" >&2; \
	  echo "Install one, then name it: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: install its venv module (often the package python3-venv)" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(CLASSES): $(INSTALLED) | java
	@echo "Spark's classes are kept as Java has loaded them, which takes a minute and saves each command some seconds:"
	$(BIN)/python -m contactlake.class_sharing
	@touch $@

# Whoever starts Spark first fetches its jars, and two who do so at once spoil each other's: tests start together.
$(JARS): conf/s3/spark-defaults.conf conf/ivysettings.xml $(INSTALLED) | java
	@echo "Jars for lakes on S3 are fetched, once:"
	SPARK_CONF_DIR=conf/s3 PYSPARK_PYTHON=$(BIN)/python $(BIN)/spark-submit \
	  --conf spark.jars.ivySettings=conf/ivysettings.xml jobs/daily.py --help >/dev/null 2>$(VENV)/jars.log || { \
	  cat $(VENV)/jars.log >&2; exit 1; }
	@touch $@

java:
	@java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; \
	version=$$("$$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1); \
	if [ "$${version:-0}" -lt 17 ]; then \
	  echo "contactlake needs Java 17, and $$java is: $$("$$java" -version 2>&1 | head -n 1)" >&2; \
	  echo "Install a Java 17 runtime, or let JAVA_HOME name one" >&2; exit 1; fi

demo: java $(INSTALLED) ## Invent two days at a contact centre, run the daily job on them here and show the KPIs.
	rm -rf build/archive build/lake
	@echo; echo "An archive of two days, with the faults that archives have:"
	$(BIN)/contactlake synthesize --out build/archive --start $(DEMO_START) --days 2 --agents 12 --seed 7
	@echo; echo "The daily job: ingest, reconcile, measure, judge, publish. The first time, Spark fetches Delta:"
	$(BIN)/contactlake daily --config $(DEMO_CONFIG) --as-of $(DEMO_AS_OF)
	@echo; echo "What it has published:"; echo; mkdir -p build; \
	$(BIN)/contactlake summary --config $(DEMO_CONFIG) 2>build/summary.log || { cat build/summary.log >&2; exit 1; }
	@echo
	@echo "Next:"
	@echo "- Open build/lake/data_docs/index.html: what was checked before these figures were published."
	@echo "- See the same with pictures, in build/01_daily_kpis.html:"
	@echo "    $(BIN)/jupyter nbconvert --execute --to html --output-dir build notebooks/01_daily_kpis.ipynb"
	@echo "- Take any KPI table together by week, month, queue, agent:"
	@echo "    $(BIN)/contactlake show agent_daily --config $(DEMO_CONFIG) --by week,agent"
	@echo "- Run the job again: nothing is new, and no table changes:"
	@echo "    $(BIN)/contactlake daily --config $(DEMO_CONFIG) --as-of $(DEMO_AS_OF)"
	@echo "- Read README.md and docs/: your own archive, the tables, the KPIs."

test: java $(CLASSES) $(JARS) ## Run the tests; ARGS=tests/unit runs some of them.
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(INSTALLED) ## Check format, style, types, layers, and that generated pages and notebooks are current.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m contactlake.documentation --check docs
	$(BIN)/python -m tests.notebooks --check

format: $(INSTALLED) ## Format the code and mend what can be mended by itself.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: $(INSTALLED) ## Write the pages that are made of the declarations, and the notebooks' .ipynb from their .py.
	$(BIN)/python -m contactlake.documentation docs
	$(BIN)/python -m tests.notebooks

bench: java $(CLASSES) ## Measure speed and memory beside a DuckDB script; ARGS="--gigabytes 10 --runs 3" for the large.
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m tests.bench.run $(ARGS)

wheel: $(INSTALLED) ## Build dist/*.whl, with the Spark settings inside.
	$(BIN)/python -m build --wheel

clean: ## Remove what was built, caches too; .venv stays.
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf spark-warehouse notebooks/spark-warehouse notebooks/.ipynb_checkpoints
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
