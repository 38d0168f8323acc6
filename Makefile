# Two commands do all the set-up: `make app` serves the page, `make test` runs the tests.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# LOCKED=1 installs exactly the packages of the locks, checked by SHA-256 (docs/install.md: for which machines).
ifdef LOCKED
APP_PACKAGES := --require-hashes -r requirements.lock
DEV_PACKAGES := --require-hashes -r requirements-dev.lock
else
APP_PACKAGES := -r requirements.txt
DEV_PACKAGES := -r requirements-dev.txt
endif

# One OpenMP thread: several processes with two each on two cores stall one another.
export OMP_NUM_THREADS ?= 1
export GRADIO_ANALYTICS_ENABLED := False

.PHONY: app test soak lint bench web reproduce audit

app: $(VENV)/app.installed
	HF_HUB_OFFLINE=1 $(BIN)/python app.py

test: $(VENV)/dev.installed lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Malformed inputs, a crowd at the page, kills, mutants: an hour on two cores that do nothing else; see RELIABILITY.md
soak: $(VENV)/dev.installed
	$(BIN)/pip install --quiet mutmut==3.8.1
	$(BIN)/python -m tests.soak

lint: $(VENV)/dev.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# The page that runs in the browser alone, in build/web
web: $(VENV)/dev.installed
	$(BIN)/python -m scripts.make_web

bench: $(VENV)/dev.installed
	$(BIN)/python -m benchmarks --output benchmarks/results.json

# The commands behind the published figures; `make reproduce ONLY=NAME` runs one, or goes on with it
reproduce: $(VENV)/dev.installed
	$(BIN)/python -m train reproduce $(if $(ONLY),--only $(ONLY),--list)

# Hashes, secrets, unsafe code, known vulnerabilities (where the machine is online), and an SBOM; see SECURITY.md
audit: $(VENV)/dev.installed
	$(BIN)/pip install --quiet pip-audit==2.10.1
	$(BIN)/python -m scripts.audit

$(VENV)/app.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(APP_PACKAGES)
	touch $@

$(VENV)/dev.installed: requirements.txt requirements-train.txt requirements-cluster.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(DEV_PACKAGES)
	touch $@ $(VENV)/app.installed
