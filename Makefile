# `make demo` and `make test` need only Python 3.10 to 3.13; PYTHON=python3.12 picks a different one.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
SITE = --site demo/site.db --directory demo/models
INSTALLED = $(VENV)/installed
SECONDS = 600
LIVES = 1000

.PHONY: help demo test test-all faults lint lint-types lint-rest audit release hashes benchmark fuzz lives catalogues clean

help:
	@echo "make demo       everything Moodle calls, then a simulated site and its students at risk, in demo/"
	@echo "make test       lint and all tests"
	@echo "make test-all   the tests on Python 3.10 to 3.13 and with the oldest dependencies, each in its own environment"
	@echo "make faults     every command killed, without space or connection, and so on, at each of its steps; takes hours"
	@echo "make lint       hashes, ruff, import contracts, bandit, the words people read, mypy and hadolint"
	@echo "make audit      look dependencies up in a database of vulnerabilities; needs the internet"
	@echo "make release    wheel, source distribution, list of components and checksums of the last commit, in dist/"
	@echo "make benchmark  the measurements in benchmarks/"
	@echo "make fuzz       hostile input for everything that reads some, for SECONDS=600; what fails is kept in fuzz-work/"
	@echo "make lives      random lives of models, LIVES=1000 of them, compared with what must hold"
	@echo "make hashes     renew the hashes of all dependencies, after a change of setup.py or requirements*.txt"
	@echo "make catalogues  bring the translations in line with the English texts"
	@echo "make clean      remove the environment, the demo and files left by tools"

demo: $(INSTALLED)
	$(BIN)/moodlemlbackend demo demo
	rm -rf demo/site.db demo/models
	$(BIN)/moodlemlbackend demo site --courses 24 --students 30 --seed 1 -o demo/site.db
	$(BIN)/moodlemlbackend models enable 1 --interval quarters --directory demo/models
	$(BIN)/moodlemlbackend models evaluate 1 --interval quarters $(SITE) || test $$? -ge 4
	$(BIN)/moodlemlbackend tasks train $(SITE)
	$(BIN)/moodlemlbackend tasks predict $(SITE)
	$(BIN)/moodlemlbackend insights list --model 1 --perpage 10 $(SITE)

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: $(INSTALLED)
	$(BIN)/nox

faults: $(INSTALLED)
	$(BIN)/python -m pytest tests/faults --every-fault -n auto --dist worksteal

lint: $(INSTALLED)
	$(MAKE) --no-print-directory --jobs 2 lint-types lint-rest

lint-types:
	test ! -x $(BIN)/mypy || $(BIN)/mypy

lint-rest:
	$(BIN)/python tools/hashes.py --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/python tools/findings.py
	$(BIN)/python tests/project/prose.py
	test ! -x $(BIN)/hadolint || $(BIN)/hadolint Dockerfile

benchmark: $(INSTALLED)
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

fuzz: $(INSTALLED)
	$(BIN)/python -m fuzz --seconds $(SECONDS)

lives: $(INSTALLED)
	LIVES=$(LIVES) $(BIN)/python -m pytest -s tests/analytics/lifecycle/test_lives.py

audit: $(INSTALLED)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-all-hashed.txt
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-develop-hashed.txt

release: $(INSTALLED)
	$(BIN)/python tools/release.py

hashes: $(INSTALLED)
	$(BIN)/python tools/hashes.py

catalogues: $(INSTALLED)
	$(BIN)/python tools/catalogues.py

$(INSTALLED): setup.py requirements-develop-hashed.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --only-binary :all: --require-hashes -r requirements-develop-hashed.txt
	$(PIP) --no-deps --no-build-isolation -e .
	-$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib moodlemlbackend cli
	touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info .hypothesis .mypy_cache .nox .pytest_cache .ruff_cache
