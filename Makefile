PYTHON ?= python3
BIN := .venv/bin
# The first visitor becomes administrator, so nobody else on the network is let in unasked.
ADDRESS ?= 127.0.0.1
PORT ?= 8501

.PHONY: app test lint screenshots benchmarks clean

app: .venv/app
	$(BIN)/streamlit run Home.py --server.address $(ADDRESS) --server.port $(PORT)

test: .venv/test
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

screenshots: .venv/test
	$(BIN)/python scripts/take_screenshots.py

benchmarks: .venv/test
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/app: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/test: requirements.txt requirements/train.txt requirements/test.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/test.txt
	@touch $@ .venv/app
