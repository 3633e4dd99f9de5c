# make demo   from a fresh clone to a dream on video, at a small scale on the CPU
# make dream  from a fresh clone to a dream of the weights in pretrained/, without any training;
#             TOKENIZER=vqgan takes the VQGAN and the world model on its tokens
# make play   from a fresh clone to the dream of the same weights in a browser
# make site   the same as a folder for any web host, in page/
# make test   from a fresh clone to the test results
# make check  the linters
# make docs   the documentation, in site/
# Each makes .venv first; it needs python3 (3.11 or newer) and make, nothing else.

PYTHON ?= python3
GAME ?= MontezumaRevenge
BIN := .venv/bin

# The demo keeps its data and runs to itself, so that runs at full scale start afresh.
DEMO := env=$(GAME) data=demo/data/$(GAME)
DEMO_RUNS := $(DEMO) root=demo/runs

.PHONY: demo dream play site ship test check docs clean

.venv/installed: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
		|| { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	@# Twice quiet, since setuptools explains at length what an editable installation is.
	$(BIN)/python -m pip install --quiet --quiet --editable '.[dev]'
	@touch $@

demo: .venv/installed
	$(BIN)/python collect/run.py $(DEMO) num_steps=60000 policy.explore_steps=250000 policy.explore_scenes=6 policy.num_explorations=1 policy.event_share=0.6
	$(BIN)/python tokenizer/train.py $(DEMO_RUNS) budget.max_minutes=2
	$(BIN)/python tokenizer/evaluate.py $(DEMO_RUNS)
	$(BIN)/python world_model/train.py $(DEMO_RUNS) budget.max_minutes=8
	$(BIN)/python world_model/evaluate.py $(DEMO_RUNS) starts=128 lost_lives=0 counterfactuals=16 strange_tokens=64 payments=0
	$(BIN)/python world_model/imagine.py $(DEMO_RUNS)
	@# Other games' held-out data may have no reward; the demo is complete without these clips.
	$(BIN)/python world_model/imagine.py $(DEMO_RUNS) event=reward horizon=30 out=demo/runs/$(GAME)/rewards \
		|| echo "no clips of rewards"
	@echo
	@echo "dataset      demo/data/$(GAME)"
	@echo "tokenizer    demo/runs/$(GAME)/tokenizer"
	@echo "world model  demo/runs/$(GAME)/world_model"
	@echo "dreams       demo/runs/$(GAME)/dreams, those of rewards beside them in rewards"

# Real held-out frames to start from lie beside the weights; the first dreams follow the actions
# that were really taken there, the last one shows other actions: left off the edge, right through the
# door, jumps, down.
SHIPPED := montezuma_revenge$(addprefix _,$(TOKENIZER))
DREAM := env=MontezumaRevenge world_model=$(SHIPPED) tokenizer=$(SHIPPED) \
	data=montezuma_revenge out=dreams$(addprefix _,$(TOKENIZER))
WHAT_IF := 'start="go_explore-f52652-seed5151-00000549-from-000000:24"' horizon=30 \
	'what_if=[LEFT,RIGHT,"(FIRE,NOOP*9)*4",DOWN]'

dream: .venv/installed
	$(BIN)/python world_model/imagine.py $(DREAM)
	$(BIN)/python world_model/imagine.py $(DREAM) $(WHAT_IF)
	@echo
	@echo "dreams  dreams$(addprefix _,$(TOKENIZER))/*.mp4, *.gif; real | reconstruction | imagined, and what_if_*"

# The graphs and the page of the shipped weights, in play/. PORT=8000 for a fixed port.
PLAY := env=MontezumaRevenge world_model=montezuma_revenge tokenizer=montezuma_revenge \
	data=montezuma_revenge root=play
PORT ?= 0

play: .venv/installed
	$(BIN)/python web/play.py $(PLAY) port=$(PORT)

# A folder for any static host.
site: .venv/installed
	$(BIN)/python web/build_page.py $(PLAY) out=page

# Trained models to pretrained/; see world_model/ship.py. RUNS=demo/runs DATA=demo/data/... for the demo's.
RUNS ?= runs
DATA ?= data/$(GAME)

ship: .venv/installed
	$(BIN)/python world_model/ship.py env=$(GAME) root=$(RUNS) data=$(DATA)

test: .venv/installed
	@# One thread each: two test processes with two threads on two cores hinder each other.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --durations=15

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: .venv/installed
	@# The variable silences a notice about the future of mkdocs; --strict fails on any warning.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf .venv demo site play page web/node_modules web/.npm.lock
