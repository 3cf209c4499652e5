PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r
# The first visitor becomes administrator, so nobody else on the network is let in unasked.
ADDRESS ?= 127.0.0.1
PORT ?= 8501

.PHONY: app test lint lock documents screenshots benchmarks clean

app: .venv/app
	$(BIN)/streamlit run Home.py --server.address $(ADDRESS) --server.port $(PORT)

# A worker to a core, so more threads would only wait for one another.
test: export TF_NUM_INTRAOP_THREADS = 1
test: export TF_NUM_INTEROP_THREADS = 1
test: export OMP_NUM_THREADS = 1
test: .venv/test
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 10

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/supply_chain.py check

# After a change of a requirement; `make lock UPGRADE=--upgrade` takes the newest of what is not pinned.
lock: .venv/test
	$(BIN)/python scripts/supply_chain.py lock $(UPGRADE)
	$(MAKE) .venv/test
	$(BIN)/python scripts/supply_chain.py describe

# What documents say of figures and of the command line, from the files and the code that know.
documents: .venv/test
	$(BIN)/python scripts/write_figures.py
	$(BIN)/python scripts/write_command_line.py

screenshots: .venv/test
	$(BIN)/python scripts/take_screenshots.py
	$(BIN)/python scripts/take_report_pictures.py

benchmarks: .venv/test
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/app: requirements/lock/app.txt | .venv/bin/python
	$(INSTALL) $<
	@touch $@

.venv/test: requirements/lock/test.txt | .venv/bin/python
	$(INSTALL) $<
	@touch $@ .venv/app
