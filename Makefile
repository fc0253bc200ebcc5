# Every target sets up what it needs by itself and does nothing twice.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# each test process computes with one thread; two of them share the two cores
TEST_ENV := OMP_NUM_THREADS=1 WANDB_MODE=offline
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo app-demo test check coverage docs docs-serve bench peers figures fonts language reader constraints clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/ready: $(VENV)/base
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/ready  ## a .venv with everything for development

demo: $(VENV)/base  ## draw photographs and lines, read them and the examples, show them here and in demo/demo.html
	$(BIN)/glyphline demo

$(VENV)/app: $(VENV)/base
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[app]'
	@touch $@

app-demo: $(VENV)/app  ## the app with an example picture: open the address that it prints, Ctrl-C ends it
	$(BIN)/glyphline serve --picture examples/sign.jpg

test: $(VENV)/ready  ## all tests
	$(TEST_ENV) $(BIN)/python -m pytest $(PARALLEL)

check: $(VENV)/ready  ## format, lint, types, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TEST_ENV) $(BIN)/python -m pytest -q $(PARALLEL) -m "not slow"

coverage: $(VENV)/ready  ## lines of src that the fast tests run, at least 95 %
	$(TEST_ENV) $(BIN)/python -m pytest -q $(PARALLEL) -m "not slow" --cov=glyphline --cov-report=term-missing:skip-covered

docs: $(VENV)/ready  ## the documentation into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: $(VENV)/ready  ## show the documentation at http://127.0.0.1:8000 and rebuild it on changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

peers:  ## the readers and frameworks that `make bench` compares with (a second environment)
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install -q "rapidocr==3.10.0" "onnxruntime==1.32.0" "tensorflow-cpu==2.21.0" "opencv-python-headless==5.0.0.93"
	command -v tesseract || echo "Tesseract: apt-get install tesseract-ocr"

bench: $(VENV)/ready fonts  ## speeds and accuracies beside their peers, into benchmarks/results/
	$(BIN)/python benchmarks/composing.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python benchmarks/orientation.py
	$(BIN)/python benchmarks/languages.py
	$(BIN)/python benchmarks/results.py

figures: $(VENV)/ready  ## the report's figures into docs/figures/
	$(BIN)/python docs/figures.py

fonts:  ## fetch the open fonts that the recipes compose with (npm)
	cd recipes/fonts && npm install --no-package-lock --no-audit --no-fund --ignore-scripts
	$(PYTHON) recipes/fonts/collect.py

language: $(VENV)/ready  ## estimate the bundled language models from their texts (five minutes)
	$(BIN)/glyphline language wikisplit text:text/english.txt.gz built-in generated:160000 --out src/glyphline/models/english.lm
	$(BIN)/glyphline language wikisplit text:text/english.txt.gz built-in --alphabet merged --punctuation stripped \
	--order 7 --megabytes 8 --out src/glyphline/models/english-merged.lm
	$(BIN)/glyphline language wikisplit text:text/english.txt.gz built-in --alphabet full --punctuation stripped \
	--order 7 --megabytes 8 --out src/glyphline/models/english-stripped.lm
	$(BIN)/python benchmarks/language_models.py

reader: $(VENV)/ready fonts  ## train the bundled reader from scratch (hours on two cores)
	$(BIN)/glyphline train recipes/natural.yaml --out runs/natural $(if $(wildcard runs/natural/last.ckpt),--resume)
	$(BIN)/glyphline train recipes/natural.yaml --out runs/reader $(if $(wildcard runs/reader/last.ckpt),--resume) \
	--set training.initial_weights=runs/natural --set training.epochs=16 --set training.learning_rate=0.001
	$(BIN)/python benchmarks/bundle.py runs/reader reader

constraints: $(VENV)/ready  ## pin what is installed now
	@$(BIN)/python -m pip list --format=freeze | grep -vE '^(glyphline|pip|setuptools)=' \
	| sed 's/^torch==.*/torch==2.13.0/' > constraints.new && (head -2 constraints.txt; cat constraints.new) > constraints.tmp \
	&& mv constraints.tmp constraints.txt && rm constraints.new

clean:  ## remove what was built; runs and data stay
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache demo
