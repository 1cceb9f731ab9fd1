# Two commands do everything from a fresh clone: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench map clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "difflaw needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@# its interpreter checks the GPU kernels; where there is no wheel of it those tests are skipped
	-$(BIN)/pip install --quiet --no-deps 'triton>=3.3'
	@touch $@

demo: $(READY)
	$(BIN)/difflaw ladder run ladders/quickstart.yaml --output runs/quickstart

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(READY)
	$(BIN)/python benchmarks/all.py $(if $(ALL),--all)

map: $(READY)
	$(BIN)/python tests/api_page.py
	$(BIN)/python tests/code_map.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
