# The commands of this checkout; `make` alone lists them. They install what they need and keep what they make in
# .cache, so that `make clean` leaves no trace but Debian packages.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test lint unit static specs try try-down browser scenarios test-vm bench collection docs release clean

# 3.11 to 3.13: Debian's own will do.
PYTHON ?= python3
# What `make scenarios` runs, the longest first. SCENARIOS=default for one alone; LONG=1 for all of their tests; pair, upgrade,
# upgrade_voters, projects and interruptions are run by hand, since they take too long for every time.
SCENARIOS ?= cluster release default hostile failover rolling internet offsite

# What the demo's host is: container, or vm.
LAB ?= container

SHARED := molecule/shared
DEMO_NAME := $(if $(filter vm,$(LAB)),demo_vm,demo)
DEMO := ansible-playbook --inventory molecule/inventories/$(DEMO_NAME).yml
export PATH := $(CURDIR)/.cache/venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Without its bytecode Python would compile all of Ansible at each start, and much of it for each task.
unexport PYTHONDONTWRITEBYTECODE
# Into a file or a pipe goes plain text.
ifndef MAKE_TERMOUT
export NO_COLOR := 1
endif

help: ## This list.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .cache/venv/ready ## Boot a Debian host and serve a Wagtail site on it; prints its URL. Run again, it changes nothing. LAB=vm: on a virtual machine.
	@$(SHARED)/$(if $(filter vm,$(LAB)),vm disk,engine up) debian-13
	@$(DEMO) $(SHARED)/create.yml $(SHARED)/prepare.yml playbooks/site.yml $(SHARED)/welcome.yml
	@cat .cache/lab/$(DEMO_NAME)/welcome

demo-down: .cache/venv/ready ## Stop the demo and remove its host; LAB as before.
	@$(DEMO) $(SHARED)/destroy.yml

test: ## Everything below side by side, on fresh hosts; prints what each part took.
	@$(MAKE) --no-print-directory --jobs=2 .cache/venv/ready browser
	@$(SHARED)/run lint static $(SCENARIOS)

lint: .cache/venv/ready ## ansible-lint (profile production, no skips), yamllint, changelog fragments.
	ansible-lint --offline
	yamllint --strict .
	antsibull-changelog lint

# One process more than there are processors, since some tests wait for a process or a clock; a file stays with one of them, for what its
# tests share, and the files that take long come first.
PYTEST = pytest -q --numprocesses $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder

static: .cache/venv/ready ## Tests that need no host: specs against defaults, refusals, units, the built collection.
	$(PYTEST) tests

unit: .cache/venv/ready ## Of these, the units and the refusals alone.
	$(PYTEST) tests/test_refusals_*.py tests/unit

specs: .cache/venv/ready ## Write roles/*/meta/argument_specs.yml from the roles' defaults.
	python tests/argument_specs.py

# What is tried by `make try`: a scenario's hosts, which stay, and the tests whose names match. FRESH=1 makes hosts from bare images, here
# and in all scenarios.
ON ?= release
K ?=
TRY := ansible-playbook --inventory molecule/inventories/$(ON).yml

try: .cache/venv/ready ## One change on standing hosts: ON=<scenario> K=<word of a test>; the hosts are made by the first one, from a snapshot that fits. FRESH=1: anew.
	@$(SHARED)/engine up debian-13 debian-12
	@$(if $(FRESH),$(TRY) $(SHARED)/destroy.yml)
	@$(SHARED)/quick $(ON) $(TRY) $(SHARED)/create.yml $(SHARED)/prepare.yml playbooks/site.yml $(SHARED)/keep.yml
	@pytest -v molecule/$(ON)/tests -k '$(K)' --ansible-inventory=$(CURDIR)/molecule/inventories/$(ON).yml --ssh-config=$(CURDIR)/.cache/lab/ssh_config_tests

try-down: .cache/venv/ready ## Remove these hosts; ON as before.
	@$(TRY) $(SHARED)/destroy.yml

browser:
	@$(SHARED)/engine packages chromium

scenarios: .cache/venv/ready browser ## Molecule scenarios, side by side; logs in .cache/logs, screenshots in .cache/artifacts.
	@$(SHARED)/run $(SCENARIOS)

test-vm: .cache/venv/ready browser ## The scenarios on virtual machines, one after the other; takes hours where the processor does not virtualise.
	@$(SHARED)/vm disk debian-13 debian-12
	@PARALLEL=1 LIMIT=8h $(SHARED)/run vm vm_replication

# What is measured, by letter (benchmarks/README.md); of how many runs the median is taken; with SCALE=0.01, a trial.
ONLY ?=
RUNS ?= 3
SCALE ?= 1

bench: .cache/venv/ready .cache/bench/venv/ready ## Measure speed on hosts of its own, into benchmarks/RESULTS.md: ONLY=b,c for parts of it.
	@$(SHARED)/engine packages wrk curl
	@$(SHARED)/engine up debian-13
	@.cache/bench/venv/bin/python -B benchmarks/bench.py --only '$(ONLY)' --runs $(RUNS) --scale $(SCALE)

.cache/bench/venv/ready: benchmarks/requirements.txt
	@rm -rf .cache/bench/venv
	@$(PYTHON) -m venv .cache/bench/venv
	@.cache/bench/venv/bin/pip install -qq --requirement benchmarks/requirements.txt
	@touch $@

collection: .cache/venv/ready ## Build the collection's archive into .cache/build.
	ansible-galaxy collection build --force --output-path .cache/build .

# Pages lie there as they lie here, so that a link leads to the same page in both.
docs: .cache/docs/venv/ready ## Build the documentation site into .cache/docs/site, to be opened in a browser as it is.
	@rm -rf .cache/docs/source
	@mkdir -p .cache/docs/source
	@cp --parents LICENSE *.md docs/*.md docs/*.css docs/*.png docs/operations/*.md roles/*/README.md molecule/README.md benchmarks/*.md benchmarks/*.svg .cache/docs/source
	@.cache/docs/venv/bin/python -B docs/variables.py .cache/docs/source/docs/variables
	@NO_MKDOCS_2_WARNING=1 .cache/docs/venv/bin/mkdocs build --quiet --strict --config-file docs/mkdocs.yml
	@printf 'file://%s, and with its search: python3 -m http.server --bind 127.0.0.1 --directory .cache/docs/site\n' '$(CURDIR)/.cache/docs/site/index.html'

.cache/docs/venv/ready: docs/requirements.txt
	@rm -rf .cache/docs/venv
	@$(PYTHON) -m venv .cache/docs/venv
	@.cache/docs/venv/bin/pip install -qq --requirement docs/requirements.txt
	@touch $@

# What signs a release: the file of an SSH key, or the name of a gpg key; none for an archive without a signature.
SIGN_KEY ?=

release: .cache/venv/ready .cache/release/venv/ready ## Of what is committed: built, judged as Galaxy does and by the sanity tests, signed by SIGN_KEY; into .cache/release.
	@python -B release/release.py --sign-key '$(SIGN_KEY)' --folder .cache/release --importer .cache/release/venv

.cache/release/venv/ready: release/requirements.txt
	@rm -rf .cache/release/venv
	@$(PYTHON) -m venv .cache/release/venv
	@.cache/release/venv/bin/pip install -qq --requirement release/requirements.txt
	@touch $@

clean: ## Remove the lab's hosts, networks and images, and .cache.
	@$(SHARED)/engine clean
	rm -rf .cache

# The lock is the only prerequisite: a changed requirements.txt makes a new virtualenv. It is make's own: what the user makes in
# .venv stays as it is. Of the thousands of modules that pip would compile, few are ever run: Python compiles those itself.
.cache/venv/ready: requirements.txt
	@$(SHARED)/engine packages git openssh-client iproute2 procps rsync
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(SHARED)/engine packages python3-venv
	@printf '== Installing the tools into .cache/venv (a minute)\n'
	@rm -rf .cache/venv
	@$(PYTHON) -m venv .cache/venv
	@.cache/venv/bin/pip install -qq --no-compile --requirement requirements.txt
	@touch $@
