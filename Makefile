PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test fuzz lint format docs figures settings bench tuning ablations clean

demo: $(INSTALLED)  ## forget five of ten objects on the embedded model; see runs/demo/
	$(BIN)/fia testbed demo --out runs/demo

test: $(INSTALLED)  ## the whole test suite
	$(BIN)/python -m pytest

fuzz: $(INSTALLED)  ## damage mask files for a minute; each is loaded or refused
	$(BIN)/python tests/fuzz_masks.py

lint: $(INSTALLED)  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)  ## the documentation site; open runs/site/index.html
	$(BIN)/sphinx-build -q -aE -W --keep-going -c docs . runs/site

figures: demo  ## the pictures and numbers of the README, of the pages in docs/ and of the model card
	$(BIN)/fia testbed sheet --out docs/sheet.png
	$(BIN)/python scripts/draw_method.py
	$(BIN)/python scripts/update_docs.py
	$(BIN)/python scripts/update_readme.py

settings: $(INSTALLED)  ## measure the settings anew and draw them; about twenty minutes
	$(BIN)/python scripts/measure_settings.py
	$(BIN)/python scripts/draw_figures.py

bench: $(INSTALLED)  ## every method on every task, and their tables; hours on two cores, resumable
	$(BIN)/fia bench --out runs/bench
	$(BIN)/python scripts/update_readme.py

tuning: $(INSTALLED)  ## choose the settings of every method anew; about an hour
	$(BIN)/python benchmarks/tune_methods.py runs/tuning

ablations: $(INSTALLED)  ## other layers, scores, filters and steps, and neighbours; about an hour
	$(BIN)/python benchmarks/ablations.py runs/ablations
	$(BIN)/python benchmarks/neighbours.py runs/neighbours
	$(BIN)/python scripts/draw_figures.py

format: $(INSTALLED)  ## mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
