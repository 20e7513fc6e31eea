PYTHON ?= python3
VENV := .venv
CONSTRAINTS := constraints.txt
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# Old versions warn of more, and draw other random weights, with which the bounds of these tests do not hold.
SEED_DEPENDENT := tests/methods/test_esd.py::test_the_edited_model_is_nearer_to_the_target \
	tests/methods/test_uce.py::test_the_concept_is_projected_as_the_guide_and_the_rest_as_before[pipe-tail]

.PHONY: demo help test test-fast test-lowest fuzz lint format docs wheel figures settings bench tuning ablations scale attacks clean

demo: $(INSTALLED)  ## forget five of ten objects on the embedded model; see runs/demo/
	$(BIN)/fia testbed demo --out runs/demo

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

test: $(INSTALLED)  ## the whole test suite
	$(PYTEST)

test-fast: $(INSTALLED)  ## the tests that are not slow and need no browser; under two minutes
	$(PYTEST) -m "not slow and not browser"

test-lowest: $(INSTALLED)  ## test-fast with the lowest versions that pyproject.toml allows, in an environment of their own
	mkdir -p runs
	$(BIN)/uv pip compile --quiet --python $(BIN)/python --resolution lowest-direct --extra lora --extra serve \
		--output-file runs/lowest.txt pyproject.toml
	PYTEST_ADDOPTS="-W default $(SEED_DEPENDENT:%=--deselect %)" $(MAKE) test-fast VENV=.venv-lowest CONSTRAINTS=runs/lowest.txt

fuzz: $(INSTALLED)  ## damage mask files for a minute; each is loaded or refused
	$(BIN)/python tests/fuzz_masks.py

lint: $(INSTALLED)  ## lint, format, types, and which layer imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)  ## the documentation site; open runs/site/index.html
	$(BIN)/sphinx-build -q -aE -W --keep-going -c docs . runs/site

wheel: $(INSTALLED)  ## the distributions in dist/; the wheel runs the demonstration in an environment of its own
	rm -rf dist
	$(BIN)/uv build --quiet
	.ci/try-wheel $(BIN)/python

figures: demo  ## the pictures and numbers of the README, of the pages in docs/ and of the model card
	$(BIN)/fia testbed sheet --out docs/sheet.png
	$(BIN)/python scripts/draw_method.py
	$(BIN)/python scripts/update_docs.py
	$(BIN)/python scripts/update_readme.py

settings: $(INSTALLED)  ## measure the settings anew and draw them; about twenty minutes
	$(BIN)/python scripts/measure_settings.py
	$(BIN)/python scripts/draw_figures.py

bench: $(INSTALLED)  ## every method on every task, and their tables; hours on two cores, resumable
	$(BIN)/fia bench --out runs/bench --world.images-per-object 10 --num-inference-steps 20 --autocast
	$(BIN)/python scripts/update_readme.py

tuning: $(INSTALLED)  ## choose the settings of every method anew; about an hour
	$(BIN)/python benchmarks/tune_methods.py runs/tuning

ablations: $(INSTALLED)  ## other layers, scores, filters and steps, and neighbours; about an hour
	$(BIN)/python benchmarks/ablations.py runs/ablations
	$(BIN)/python benchmarks/ablations_rewriting.py runs/ablations-rewriting
	$(BIN)/python benchmarks/neighbours.py runs/neighbours
	$(BIN)/python scripts/draw_figures.py

scale: $(INSTALLED)  ## forget up to a hundred objects of the large world, and the page; hours on two cores, resumable
	$(BIN)/fia bench --scale --weights testbed-large --out runs/scale --num-inference-steps 8
	$(BIN)/python scripts/update_scale.py

attacks: $(INSTALLED)  ## attack every method's edits, and the tables of docs/attacks.md; hours on two cores, resumable
	$(BIN)/fia bench --attacks --out runs/bench
	$(BIN)/python scripts/update_readme.py

format: $(INSTALLED)  ## mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[lora,serve]" --group dev
	touch $@

clean:
	rm -rf $(VENV) .venv-lowest runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
