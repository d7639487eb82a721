# Drophammer: `make demo` sets up and runs the main job, `make test` sets up and runs the tests.

# The first that runs and is new enough; a name on the PATH alone may be a version manager's stand-in.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
RUN := $(VENV)/bin/python
TORCH_BUILD ?= auto

.PHONY: help demo test torture setup setup-musicgen train-beats check-python clean

help:
	@echo "make demo    set up, then render the demo set: stems, a mix, a beat grid (about a minute)"
	@echo "make test    set up, with torch and audiocraft too, then run the tests (a few minutes)"
	@echo "make torture kill the daemon and its workers again and again: ROUNDS=200 SEED=7, or HOURS=1; CALM=1 kills nothing"
	@echo "make setup   only set up .venv/"
	@echo "make setup-musicgen   add torch and audiocraft, for MusicGen (0.2 GB for the CPU, several GB for CUDA)"
	@echo "make train-beats      train the beat tracker anew (nearly two hours, 12 GB of memory, 15 GB in build/; apt for the tracker modules)"
	@echo "make clean   remove .venv/ (work in inbox/, outbox/ and state/ stays)"

demo: setup
	@./drophammer demo

# The tests of MusicGen run the real libraries, so they are part of what the tests need. Two files at a time.
test: $(VENV)/.ready-test
	@$(RUN) -m pytest -n 2 --dist loadfile $(ARGS)

# A throw-away installation; nothing of inbox/, outbox/ or state/ is touched.
torture: $(VENV)/.ready-test
	@$(RUN) -m tests.faults.torture $(if $(HOURS),--hours $(HOURS),--rounds $(or $(ROUNDS),200)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(CALM),--calm)

setup: $(VENV)/.ready

# Looked at each time: a card, or its driver, may have come since. TORCH_BUILD=cpu or =cuda decides for it.
setup-musicgen: $(VENV)/.ready
	@$(RUN) -m handlers.stems.models.install --build $(TORCH_BUILD)
	@touch $(VENV)/.ready-musicgen
	@$(RUN) -m handlers.stems.musicgen.device
	@echo "A running daemon finds it by itself. Weights are separate: ./drophammer models"

train-beats: $(VENV)/.ready-test
	@$(RUN) -m training.beats

check-python:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer is needed, and $$(python3 -V 2>/dev/null || echo none) was found."; \
	  echo "On Debian or Ubuntu: sudo apt install python3 python3-venv    or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; fi; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; $$python says: $$($$python -V 2>&1 | head -n 1)"; exit 1; }; \
	$$python -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt install $$(basename $$python)-venv"; exit 1; }

# Stamps hold when the environment was last made equal to the two files; nothing is fetched again until they change.
$(VENV)/.ready: pyproject.toml constraints.txt | check-python
	@echo "Setting up $(VENV)/: about 140 MB to fetch, 600 MB on disk, no torch. Once."
	@$(RUN) -c pass 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready | $(VENV)/.ready-musicgen
	@echo "Adding what the tests need: about 5 MB."
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.ready-musicgen: constraints-musicgen.txt | $(VENV)/.ready
	@$(RUN) -m handlers.stems.models.install --build $(TORCH_BUILD)
	@touch $@

clean:
	rm -rf $(VENV)
