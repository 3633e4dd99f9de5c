# make demo   from a fresh clone to a dream on video, at a small scale on the CPU
# make test   from a fresh clone to the test results
# Both make .venv first; they need python3 (3.11 or newer) and make, nothing else.

PYTHON ?= python3
GAME ?= MontezumaRevenge
BIN := .venv/bin

# The demo keeps its data and runs to itself, so that runs at full scale start afresh.
DEMO := env=$(GAME) data=demo/data/$(GAME)
DEMO_RUNS := $(DEMO) root=demo/runs

.PHONY: demo test check clean

.venv/installed: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
		|| { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: .venv/installed
	$(BIN)/python collect/run.py $(DEMO) num_steps=30000 policy.explore_steps=250000
	$(BIN)/python tokenizer/train.py $(DEMO_RUNS) budget.max_minutes=3
	$(BIN)/python tokenizer/evaluate.py $(DEMO_RUNS)
	$(BIN)/python world_model/train.py $(DEMO_RUNS) budget.max_minutes=5
	$(BIN)/python world_model/evaluate.py $(DEMO_RUNS)
	$(BIN)/python world_model/imagine.py $(DEMO_RUNS)
	@echo
	@echo "dataset      demo/data/$(GAME)"
	@echo "tokenizer    demo/runs/$(GAME)/tokenizer"
	@echo "world model  demo/runs/$(GAME)/world_model"
	@echo "dreams       demo/runs/$(GAME)/dreams"

test: .venv/installed
	@# One thread each: two test processes with two threads on two cores hinder each other.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --durations=15

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf .venv demo
