# Drophammer: `make demo` sets up and runs the main job, `make test` sets up and runs the tests.

# The first that runs and is new enough; a name on the PATH alone may be a version manager's stand-in.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: help demo test setup setup-musicgen check-python clean

help:
	@echo "make demo    set up, then render the demo set: stems, a mix, a beat grid (about a minute)"
	@echo "make test    set up, then run the tests (a few minutes)"
	@echo "make setup   only set up .venv/"
	@echo "make setup-musicgen   add torch and audiocraft, for MusicGen (0.2 GB for the CPU, several GB for CUDA)"
	@echo "make clean   remove .venv/ (work in inbox/, outbox/ and state/ stays)"

demo: setup
	@./drophammer demo

test: $(VENV)/.ready-test
	@$(RUN) -m pytest $(ARGS)

setup: $(VENV)/.ready

setup-musicgen: $(VENV)/.ready-musicgen
	@$(RUN) -m handlers.stems.musicgen.device
	@echo "Weights are separate: a job that waits for a model, and './drophammer doctor', print the commands that fetch them."

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
	@echo "Compiling librosa's loops, so that no job waits for it: about 20 s. Once."
	@$(RUN) -m handlers.beats.compile
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	@echo "Adding what the tests need: about 5 MB."
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

# audiocraft's own pins (torch 2.1, numpy 1) contradict what works, so it goes in last and without its dependencies.
$(VENV)/.ready-musicgen: constraints-musicgen.txt | $(VENV)/.ready
	@echo "Adding torch and audiocraft to $(VENV)/: where pip finds a build of torch for the CPU, about 0.2 GB to fetch and"
	@echo "1.1 GB on disk (measured); a build for CUDA, which pip takes on most machines, is several GB (not measured)."
	@echo "Free on this disk: $$(df -h --output=avail $(VENV) | tail -n 1 | tr -d ' '). Weights are not fetched here. Once."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -c constraints.txt -c constraints-musicgen.txt torch==2.13.0
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -c constraints.txt -c constraints-musicgen.txt einops julius omegaconf transformers huggingface_hub
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps audiocraft==1.3.0
	@touch $@

clean:
	rm -rf $(VENV)
