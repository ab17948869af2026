# Everything here runs on a machine with just Python (3.11 or newer) and make: the environment is made on first use.
#   make demo         a language model writes a book as JSON that fits a schema
#   make test         the tests
#   make test-model   the tests that need the weights of the demo model (fetched once)
#   make check        lint, types, import contracts
#   make bench        the measurements, with the peers in the same run
#   make clean        remove the environment and all that tools left behind

PYTHON ?= python3
# Installed before the rest, so that an open range elsewhere never pulls another (CUDA) build. For a particular build:
#   make demo TORCH='torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu'
TORCH ?= torch==2.13.0

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q
READY := $(VENV)/ready
READY_FOR_BENCH := $(VENV)/ready-for-bench

.PHONY: demo test test-model check bench clean install

demo: $(READY)
	$(BIN)/python -m tokamask generate "Describe the novel Moby Dick." \
	    --schema examples/book.py:Book --max-tokens 200 --temperature 0

test: check
	$(BIN)/python -m pytest

test-model: $(READY)
	$(BIN)/python -m pytest -m model

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY_FOR_BENCH)
	$(BIN)/python -m bench

install: $(READY)

# Touched last: an interrupted installation is made again.
$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; a few minutes)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt $(TORCH)
	$(PIP) -c constraints.txt -e '.[dev,demo]'
	@touch $@

$(READY_FOR_BENCH): $(READY)
	$(PIP) -c constraints.txt -e '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
