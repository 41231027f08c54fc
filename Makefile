# Every target makes .venv and installs what it needs by itself; nothing happens twice.
#   PYTHON=python3.12 make test          another interpreter (3.11 or newer), used when .venv is made
#   TORCH_INDEX_URL=URL make test        torch from that index, such as https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX_URL ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STAMPS := $(VENV)/.installed

# One process for each core, each with one thread: the models of the tests are too small to gain from threads. The tests of a
# file stay together, since they share what was trained or compiled for them; tests/conftest.py puts the long files first.
# Python keeps what it has compiled, even where the environment says otherwise; without that each process would compile every test again.
PYTHON_OF_TESTS = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python
PYTEST = $(PYTHON_OF_TESTS) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The packages to compare with, in an environment of their own (about 6 GB with the ordinary torch).
PEERS := .venv-peers
BENCH_IMAGE ?= sam2_adapter/assets/demo/astronaut.jpg


.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo label test test-fast test-browser check format bench bench-docs soak docs clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | sort | expand -t 14

demo: $(STAMPS)-run ## predict and fine-tune on bundled pictures, offline, and write demo/index.html
	$(BIN)/sam2-adapter demo --output demo --overwrite

label: $(STAMPS)-label ## click on the bundled pictures in the browser, offline; what you accept goes to labels/
	$(BIN)/sam2-adapter label sam2_adapter/assets/demo/astronaut.jpg sam2_adapter/assets/demo/coins.png \
		sam2_adapter/assets/demo/flower.jpg sam2_adapter/assets/demo/retina.jpg --model sam2_nano --output labels

test: $(STAMPS)-test ## all tests but the soak tests and those that need a browser
	$(PYTEST)

test-fast: $(STAMPS)-test ## the tests that start no process, server or compiler and train little: a little over a minute on two cores
	$(PYTEST) -m "not slow and not gpu and not soak and not browser"

test-browser: $(STAMPS)-test ## the pages, looked at in Chromium at several widths, light and dark
	$(PYTEST) -m browser

soak: $(STAMPS)-test ## the tests that run for many minutes, part by part; PART=tiff runs one, PART=list names them
	$(PYTHON_OF_TESTS) tools/soak.py $(PART)

check: $(STAMPS)-dev ## format, lint, types, import direction, a test for every module, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_imports.py tests/test_layout.py
	$(BIN)/python tools/make_config_docs.py --check
	$(BIN)/python tools/make_manifest.py --check

format: $(STAMPS)-dev ## bring the code to its form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(STAMPS)-dev ## write the generated pages and the manifest, and the API reference to docs/api/
	$(BIN)/python tools/make_config_docs.py
	$(BIN)/python tools/make_manifest.py
	$(BIN)/python -m pdoc --docformat google --output-directory docs/api sam2_adapter

bench: $(STAMPS)-test $(PEERS)/.installed ## time prediction beside other packages, in about ten minutes
	$(BIN)/python benchmarks/prediction/run.py --peers-python $(PEERS)/bin/python --image $(BENCH_IMAGE)

bench-docs: $(STAMPS)-test $(PEERS)/.installed ## all benchmarks, in about half an hour, into docs/benchmarks.md
	$(BIN)/python benchmarks/all.py --peers-python $(PEERS)/bin/python --image $(BENCH_IMAGE) --write-docs

clean: ## remove everything that the targets make, .venv included
	rm -rf $(VENV) $(PEERS) build dist demo labels .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sam2-adapter needs Python 3.11 or newer; name one with PYTHON=python3.11 make ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Without its dependencies: those come from the ordinary index, in the next step.
$(STAMPS)-torch: | $(BIN)/python
ifneq ($(TORCH_INDEX_URL),)
	$(PIP) install --no-deps --constraint constraints.txt --index-url $(TORCH_INDEX_URL) torch
endif
	@touch $@

$(STAMPS)-run: pyproject.toml constraints.txt | $(STAMPS)-torch
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(STAMPS)-label: $(STAMPS)-run
	$(PIP) install --constraint constraints.txt --editable '.[label]'
	@touch $@

$(STAMPS)-test: $(STAMPS)-run
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@

$(STAMPS)-dev: $(STAMPS)-test
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(PEERS)/.installed: | $(BIN)/python
	$(PYTHON) -m venv $(PEERS)
ifneq ($(TORCH_INDEX_URL),)
	$(PEERS)/bin/python -m pip --quiet install --index-url $(TORCH_INDEX_URL) torch torchvision
endif
	$(PEERS)/bin/python -m pip --quiet install torch torchvision hydra-core iopath tqdm pillow setuptools wheel \
		ultralytics onnx onnxruntime
	SAM2_BUILD_CUDA=0 $(PEERS)/bin/python -m pip --quiet install --no-deps --no-build-isolation sam2==1.1.0
	@touch $@
