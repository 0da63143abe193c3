# The commands that people and CI run. `make` alone lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# "Tested with": exact versions; the ranges that are allowed are in pyproject.toml.
PIP_FLAGS ?= -c constraints.txt
# Tests side by side, one thread each: `logical` is one per core; `make tests WORKERS=0` runs them in this process.
WORKERS ?= logical

.PHONY: help demo test lint types tests check slurm mutants format benchmarks clean
help:
	@echo "make demo        set up, then train, decode and score prefix-tuning on mini-WebNLG"
	@echo "make test        set up, then lint, types and all tests that need no accelerator"
	@echo "make slurm       the tests on a real Slurm (tests/cluster/slurm_up.sh starts one)"
	@echo "make check       has a change moved a number? small runs, same seed against same seed (docs/check.md)"
	@echo "make mutants     plant small faults one at a time and count those that bench check catches"
	@echo "make format      rewrite the code in the house style"
	@echo "make benchmarks  speed and memory beside what else one would use"
	@echo "make clean       remove the virtual environment and caches"

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/bench run --method prefix --task webnlg

# The types are checked while the tests run: both spend much of their time on one core.
test: lint
	@$(MAKE) --no-print-directory -j2 types tests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

tests: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m 'not gpu and not slurm and not network' \
	  -n $(WORKERS) --maxprocesses 8 --dist worksteal

check: $(VENV)/.installed
	$(BIN)/bench check

slurm: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slurm tests/cluster

mutants: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutants.plant $(FAULTS)

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/e2e_scores.py
	$(BIN)/python benchmarks/ter.py --outputs 300
	$(BIN)/python benchmarks/cluster_status.py
	$(BIN)/python benchmarks/report.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info
