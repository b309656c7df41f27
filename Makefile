# Every target that needs the environment (.venv) sets it up first, from the exact versions in requirements.txt.
# The recipes are plain POSIX sh and quote what may hold a space, the checkout's own path included.

PYTHON ?= python3
# Of the tests: one more than the cores of a small machine, since many tests wait for processes.
WORKERS ?= 3
.DEFAULT_GOAL := help

BIN := .venv/bin
READY := .venv/.ready
# A suite is a YAML file: a new table gets its target, and its line in the help, from its file alone.
SUITES := $(filter-out presets methods,$(basename $(notdir $(wildcard rotnet_lib/suites/*.yaml))))
REPRODUCE := $(SUITES:%=reproduce-%)

# One shell word, whatever it holds.
quote = '$(subst ','\'',$1)'

# What is typed reaches rotnet as it is: no $ in it is expanded, and it goes through the environment, not through the text of
# a recipe. make drops white space before a value; on Linux it is looked up in the command line.
TYPED := PRESET METHODS DATASET SEEDS SET RUNS CORES EXECUTOR SUITE
command_line = tr '\0' '\n' 2>/dev/null < /proc/$$PPID/cmdline
space_before = $(subst .,,$(shell $(command_line) | sed -n 's/^$1:*=\([[:blank:]]*\).*/\1./p' | tail -n 1))
define as_typed
override $1 := $$(if $$(filter command,$(origin $1)),$$(call space_before,$1))$$(value $1)
export $1
endef
$(foreach name,$(TYPED),$(if $(filter-out undefined,$(origin $(name))),$(eval $(call as_typed,$(name)))))

option = $(if $(value $1), --$2 $(call given,$1))
given = "$$$1"
WHAT = $(call option,PRESET,preset)$(call option,METHODS,methods)$(call option,DATASET,dataset)$(call option,SEEDS,seeds)$(call option,SET,set)$(call option,RUNS,runs)
HOW = $(call option,CORES,cores)$(call option,EXECUTOR,executor)$(if $(SNAKEMAKE_ARGS), -- $(SNAKEMAKE_ARGS))

TARGETS := help setup status lab detectron2 test test-all test-kills lint format doctor bench rehearse-gpu pins clean
TARGETS += campaign-kills campaign-inputs check-pages
.PHONY: $(TARGETS) $(REPRODUCE)

help: ## list the targets
	@echo "make TARGET [VARIABLE=value ...]"
	@echo
	@for suite in $(SUITES); do \
		title=$$(sed -n "s/^title: *//p" "rotnet_lib/suites/$$suite.yaml" | sed "s/^[\"']//; s/[\"']$$//; q"); \
		printf '  %-30s %s\n' "reproduce-$$suite" "$${title:-the suite $$suite}"; \
	done
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-30s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables of reproduce-* and status (make -n reproduce-... shows what would run, and runs nothing):"
	@awk -F '## ' '/^#   [A-Z]+ *## / { sub(/^# /, "", $$1); printf "%s%s\n", $$1, $$2 }' Makefile
#   PRESET    ## quick, short, night, paper or released; without it: paper where a GPU is found, else quick
#   METHODS   ## methods whose rows are made: core (default), all, or names with commas between
#   DATASET   ## the data to use in place of the preset's
#   SEEDS     ## number of seeds that each row is averaged over
#   SET       ## other parameters, as in SET="epochs=20 probe.lr=0.05 rotnet.width=0.5"; docs/parameters.md has the grammar
#   CORES     ## CPU cores, or cluster jobs, to use at a time (default: all cores)
#   RUNS      ## where runs are kept (default: runs)
#   SUITE     ## of status alone: the runs of this suite, as in make status SUITE=table3
#   EXECUTOR  ## slurm: hand the runs to a cluster; SNAKEMAKE_ARGS="--slurm-no-account": what it needs to know

# --- Set-up ---

# The stamp holds the checkout's path: an environment does not survive a move, nor the loss of the Python it is made of.
NEW :=
ifneq ($(shell test -x $(BIN)/python && cat $(READY) 2>/dev/null),$(CURDIR))
NEW := yes
.PHONY: $(READY)
endif

setup: $(READY) ## set .venv up; the others do so by themselves (PYTHON=python3.12: with this Python)

# Without a stamp, set-up starts again in an empty .venv, since a package that was cut off half way may look installed;
# what was downloaded is in uv's cache. With a stamp (the pins have changed), only what differs is installed, and
# packages that the user has added stay; that is why this is not `uv pip sync`.
# --compile-bytecode: each run starts a notebook kernel, 3 to 5 times faster so, and where PYTHONDONTWRITEBYTECODE is set
# nothing else would ever compile the packages.
# --no-deps: requirements.txt names everything; requirements-overrides.txt says what it leaves out on purpose.
$(READY): requirements.txt pyproject.toml
	@[ -L .venv ] || rm -f $(READY)
	@$(if $(NEW),$(create_venv),echo "Bringing .venv up to date: requirements.txt or pyproject.toml has changed ...")
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		"$$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements.txt)" \
		|| { $(call failed,pip could not install uv); }
	@$(pip_index) $(uv) $$([ -t 2 ] || echo --quiet) --compile-bytecode --no-deps -r requirements.txt \
		|| { $(call failed,uv could not install requirements.txt); }
	@$(uv) --quiet --no-deps --no-build-isolation -e . || { $(call failed,rotnet-lib itself could not be installed); }
	@echo $(call quote,$(CURDIR)) > $(READY)
	@echo "The environment is ready."

define create_venv
if [ -L .venv ]; then \
		echo "error: .venv is a link, and to set it up would empty the folder it leads to. Remove the link: rm .venv" >&2; exit 1; \
	fi; \
	for python in $(call quote,$(PYTHON)) python3.13 python3.12 python3.11 ''; do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && break; \
	done; \
	if [ -z "$$python" ]; then \
		echo "error: no Python 3.11, 3.12 or 3.13 here (tried" $(call quote,$(PYTHON))", python3.13, python3.12, python3.11)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12" $(call quote,$(MAKECMDGOALS)) >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$python" --version): up to 3 GB to download (on Linux; most of it CUDA for torch;"; \
	echo "kept in a cache for the next time), then about a minute to unpack and compile ..."; \
	"$$python" -m venv --clear .venv || { $(call failed,$$python -m venv .venv failed (Debian and Ubuntu: apt install python3-venv)); }
endef

uv = $(BIN)/uv pip install --python $(BIN)/python
# uv does not read pip's settings: an index that is set there is handed on.
pip_index = index=$$($(BIN)/python -m pip config list | sed -n "s/.*[.]index-url='\(.*\)'$$/\1/p" | tail -n 1); \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}";
# A mirror may take its time over the large files.
export UV_HTTP_TIMEOUT ?= 300
failed = echo >&2; echo "error: $1; the cause is above." >&2; \
	echo "Set-up needs a package index (is the network up?) and 8 GB of disk." >&2; \
	echo "Then run make again: what was downloaded is kept." >&2; exit 1

# detectron2 is published as source only. Building it needs a C++ compiler (and nvcc, for its operators on a GPU), torch and
# pkg_resources, which setuptools has dropped: so it is built in the environment, with the last setuptools that has it.
# All the rest stays as requirements.txt says.
DETECTRON2_COMMIT := 02b5c4e295e990042a714712c21dc79b731e8833
DETECTRON2_URL := https://github.com/facebookresearch/detectron2
detectron2_source = $(call quote,$(or $(DETECTRON2),detectron2 @ git+$(DETECTRON2_URL)@$(DETECTRON2_COMMIT)))

detectron2: $(READY) ## compile detectron2 (minutes; DETECTRON2=checkout of it); engine=torchvision needs none of this
	@grep -v '^setuptools==' requirements.txt > .venv/detectron2-constraints.txt
	@$(pip_index) $(uv) --quiet 'setuptools<81' wheel || { $(call failed,uv could not install setuptools and wheel); }
	@echo "Building detectron2: minutes ..."
	@$(pip_index) $(uv) --no-build-isolation -c .venv/detectron2-constraints.txt $(detectron2_source) || { \
		echo >&2; echo "error: detectron2 was not built; the cause is above." >&2; \
		echo "It needs git, the network and a C++ compiler (Debian and Ubuntu: apt install g++ python3-dev)." >&2; \
		echo "Detection runs without it: engine=torchvision. A checkout of it: make detectron2 DETECTRON2=/path" >&2; exit 1; }

# --- Experiments ---

# make -n: `rotnet` itself says what would run (the + makes make run it all the same), and nothing is installed.
ifneq (,$(findstring n,$(firstword -$(MAKEFLAGS))))
ifdef NEW
MAKEFLAGS += --silent# no "nothing to be done" after the answer
given = $(call quote,$(value $1))
$(REPRODUCE): reproduce-%:
	@$(info make reproduce-$* would first set the environment up (.venv), then: rotnet reproduce $*$(WHAT)$(HOW))
else
$(REPRODUCE): reproduce-%:
	+@$(BIN)/rotnet reproduce $* --dry-run$(WHAT)$(HOW)
endif
else
# Without make nobody waits for the suite: rotnet watches it by this variable.
$(REPRODUCE): reproduce-%: $(READY)
	@export ROTNET_MAKE=$$PPID; exec $(BIN)/rotnet reproduce $*$(WHAT)$(HOW)
endif

# What does not exist: the nearest target is looked for by awk, since there may be no environment yet. No shell sees the name: it
# goes through the environment.
# (make takes a(b) for the member b of an archive a.)
export ASKED = $@$(if $%,($%))
export TARGETS := $(TARGETS) $(REPRODUCE)
define NEAREST
# Of two words, how many letters are to be put in, left out or replaced to make one the other; swapped neighbours count once.
function steps(a, b,    i, j, cost, d) {
	for (i = 0; i <= length(a); i++) d[i, 0] = i
	for (j = 0; j <= length(b); j++) d[0, j] = j
	for (i = 1; i <= length(a); i++) for (j = 1; j <= length(b); j++) {
		cost = substr(a, i, 1) != substr(b, j, 1)
		d[i, j] = d[i - 1, j - 1] + cost
		if (d[i - 1, j] + 1 < d[i, j]) d[i, j] = d[i - 1, j] + 1
		if (d[i, j - 1] + 1 < d[i, j]) d[i, j] = d[i, j - 1] + 1
		if (i > 1 && j > 1 && substr(a, i, 1) == substr(b, j - 1, 1) && substr(a, i - 1, 1) == substr(b, j, 1) \
			&& d[i - 2, j - 2] + 1 < d[i, j]) d[i, j] = d[i - 2, j - 2] + 1
	}
	return d[length(a), length(b)]
}
BEGIN {
	asked = ENVIRON["ASKED"]
	count = split(ENVIRON["TARGETS"], targets, " ")
	least = 4
	if (length(asked) < 100) for (n = 1; n <= count; n++) if ((s = steps(asked, targets[n])) < least) { least = s; best = targets[n] }
	if (best != "" && least < length(asked) / 2) print "; did you mean " best "?"
	else print "."
}
endef
export NEAREST
nearest = "$$(awk "$$NEAREST" 2>/dev/null || echo .)"

reproduce-%:
	+@echo "error: no suite is called '$${ASKED#reproduce-}'"$(nearest) "There are:" $(REPRODUCE) >&2; exit 1

.DEFAULT:
	+@echo "error: there is no target '$$ASKED'"$(nearest) "make help lists them." >&2; exit 1

status: $(READY) ## what is finished, failed or still to do, one line per suite; SUITE=table3: one line per run
	@exec $(BIN)/rotnet status$(WHAT)$(if $(value SUITE), -- $(call given,SUITE))

lab: $(READY) ## open JupyterLab on notebooks/ (LAB_ARGS=--no-browser)
	@exec $(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS)

doctor: $(READY) ## check the machine: Python, packages, device, data, disk
	@exec $(BIN)/rotnet doctor

bench: $(READY) ## measure the speed of training on this machine
	@exec $(BIN)/rotnet bench

rehearse-gpu: $(READY) ## the first check on a machine with a GPU: its figures against the CPU's, its speed (minutes)
	@exec $(BIN)/python -m benchmarks.gpu_rehearsal

# --- Development ---

# A module's tests run on one worker, since they share what it has set up. tests/conftest.py puts long modules first;
# xdist would put those with the most tests first.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

test: $(READY) ## run the tests except the slow ones (WORKERS=3 processes; PYTEST_ARGS="-k rotation")
	@exec $(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-all: $(READY) ## run these and the slow ones, but for test-kills (the same variables)
	@exec $(PYTEST) -m "not kills" $(PYTEST_ARGS)

test-kills: $(READY) ## run the kill tests that test-all leaves out: for changes of the engine, before a release
	@exec $(PYTEST) -m kills $(PYTEST_ARGS)

# Odd treatment by the hour, for a release: no part of the tests. campaigns/README.md says what is counted.
campaign-kills: $(READY) ## kill processes of a suite that is made, by the hundred (KILLS=100 SEED=0 ONLY=round)
	@exec $(BIN)/python -m campaigns.kills $(strip $(call option,KILLS,kills) $(call option,SEED,seed) $(call option,ONLY,only))

campaign-inputs: $(READY) ## read damaged files and odd values by the thousand (INPUTS=10000 SEED=0 ONLY=kind:number)
	@exec $(BIN)/python -m campaigns.inputs --workers $(WORKERS) $(strip $(call option,INPUTS,inputs) $(call option,SEED,seed) \
		$(call option,ONLY,only))

lint: $(READY) ## check style, format, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY) ## put the code in the project's format
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb
	$(BIN)/rotnet write-parameter-cells

pins: $(READY) ## make requirements.txt anew from requirements.in (PINS_ARGS=--upgrade: with newer versions)
	@cp requirements.txt .venv/pins.txt
	@$(pip_index) $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--override requirements-overrides.txt $(PINS_ARGS) requirements.in -o .venv/pins.txt
	@{ echo "# The exact versions of everything, for Python 3.11 to 3.13. Made by \`make pins\` from requirements.in."; \
		cat .venv/pins.txt; } > .venv/requirements.txt
	@if cmp -s .venv/requirements.txt requirements.txt; then echo "requirements.txt is as it was."; \
		else cp .venv/requirements.txt requirements.txt; echo "requirements.txt is new; the next make installs it."; fi

check-pages: $(READY) ## look at the pages of runs/ in a browser: contrast, texts, width, requests (PAGES=folder SHOTS=folder for pictures)
	@exec $(BIN)/python -m campaigns.pages $(strip $(call option,PAGES,pages) $(call option,SHOTS,shots))

clean: ## remove caches and build leftovers; never runs/, data/ or .venv
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist
	find $(wildcard rotnet_lib notebooks benchmarks campaigns tests) \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
