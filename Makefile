# One command for one thing, from a bare checkout: each target sets up what it needs, once.
#
#   PYTHON=python3.13              the interpreter; given by hand it gets an environment of its own (.venv-3.13)
#   NUMPY='2.0.*' SCIPY='1.13.*'   hold these versions, again in an environment of their own
#   ARGS='-k conv2d'               more arguments for what the target runs (demo, pytest, asv)

.DEFAULT_GOAL := help
.NOTPARALLEL:

# The first Python that runs, is new enough and can make environments. A name on the PATH is no proof of that:
# version managers leave shims for interpreters that are not selected, and some systems ship venv apart.
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
              if $$python -c '$(USABLE)' 2>/dev/null; then echo $$python; break; fi; done)
VENV := .venv
else
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2] + sys.abiflags)' 2>/dev/null)
endif
VENV := $(VENV)$(if $(NUMPY),-numpy$(subst *,x,$(NUMPY)))$(if $(SCIPY),-scipy$(subst *,x,$(SCIPY)))

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install -c $(VENV)/constraints.txt
ASV := $(BIN)/asv --config benchmarks/asv.conf.json
QUICKLY := -a rounds=1 -a repeat=5 -a warmup_time=0.02 -a sample_time=0.005
SOURCES := setup.py pyproject.toml $(shell find fastconv -name '*.py[xd]' -o -name '*.pxi' -o -name '*.h')
STUBBED := $(subst /,.,$(basename $(shell find fastconv -name '*.pyi')))

# The requirements of an extra of pyproject.toml, or those of the build, one a line.
REQUIREMENTS := import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
    build = p["build-system"]["requires"] + p["project"]["dependencies"]; \
    print(*({"build": build} | p["project"]["optional-dependencies"])[sys.argv[1]], sep="\n")

.PHONY: help demo test test-peers test-programs test-upstream bench docs lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s%s\n", $$1, $$2 }' Makefile
	@sed -n 's/^#   /  /p' Makefile

demo: $(VENV)/.built $(VENV)/.for-demo ## filter real signals and a photograph, time it, write pictures to demo/
	$(BIN)/python -m fastconv demo $(ARGS)

test: $(VENV)/.built $(VENV)/.for-test ## run the tests, and every example in docstrings and documentation
	$(BIN)/pytest $(ARGS)

test-peers: $(VENV)/.built $(VENV)/.for-test $(VENV)/.for-peers ## run the tests that need PyTorch
	$(BIN)/pytest tests/peers $(ARGS)

test-programs: $(VENV)/.built $(VENV)/.for-test $(VENV)/.for-programs ## run programs of others, scikit-image among them, with fastconv in place
	$(BIN)/pytest tests/programs $(ARGS)

test-upstream: $(VENV)/.built $(VENV)/.for-test ## run all of NumPy's and SciPy's own tests with fastconv in place
	$(BIN)/pytest tests/upstream --whole -rP $(ARGS)

bench: $(VENV)/.built $(VENV)/.for-bench ## time fastconv beside NumPy, SciPy and OpenCV, in a few minutes
	@test -e ~/.asv-machine.json || $(ASV) machine --yes >/dev/null
	$(ASV) run --environment existing:$(abspath $(BIN)/python) $(QUICKLY) $(ARGS)

docs: $(VENV)/.built $(VENV)/.for-docs ## build the documentation in docs/_build/html, warnings being errors
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

lint: $(VENV)/.built $(VENV)/.for-demo $(VENV)/.for-lint ## check style, types, and the stubs against what is built
	$(BIN)/ruff check .
	PATH="$(abspath $(BIN)):$$PATH" cython-lint fastconv
	$(BIN)/mypy
	$(BIN)/stubtest $(STUBBED) --mypy-config-file pyproject.toml --allowlist .ci/stubtest-allowlist

clean: ## remove all that make has made, environments included
	rm -rf .venv* build dist demo *.egg-info docs/_build docs/api/generated benchmarks/env benchmarks/html
	rm -rf benchmarks/results .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find fastconv -name '*.so' -delete

$(VENV)/constraints.txt:
	@test -n "$(PYTHON)" || { echo "fastconv needs Python 3.11 or later with venv, and none was found: give one as PYTHON=/path/to/python3"; exit 1; } >&2
	@$(PYTHON) -c '$(USABLE)' || { echo "fastconv needs Python 3.11 or later with venv, and PYTHON=$(PYTHON) is not that"; exit 1; } >&2
	@echo "==> making $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@printf '%s\n' $(if $(NUMPY),'numpy==$(NUMPY)') $(if $(SCIPY),'scipy==$(SCIPY)') >$@

$(VENV)/.for-%: $(VENV)/constraints.txt pyproject.toml
	@echo "==> installing what '$*' needs"
	@$(BIN)/python -c '$(REQUIREMENTS)' $* >$(VENV)/requirements.txt
	@$(PIP) -r $(VENV)/requirements.txt
	@touch $@

$(VENV)/.built: $(VENV)/.for-build $(SOURCES)
	@echo "==> building fastconv, a few minutes"
	@$(PIP) --no-build-isolation --no-deps -e .
	@$(BIN)/python -m fastconv info
	@touch $@
