# The whole of a day's work. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PIP_LOCKED := $(PIP) install --no-build-isolation --require-hashes
DEPS := $(VENV)/.deps
READY := $(VENV)/.ready
NATIVE := $(VENV)/.native
EMULATOR := .venv-emulator
EMULATOR_READY := $(EMULATOR)/.ready
TEMPLATE := .venv-template
TEMPLATE_READY := $(TEMPLATE)/.ready
TEMPLATE_GOOD := $(TEMPLATE)/.good
PACKAGE := .venv-package
PACKAGE_READY := $(PACKAGE)/.ready
SITE := .venv-site
SITE_READY := $(SITE)/.ready
FUZZ := .venv-fuzz
FUZZ_READY := $(FUZZ)/.ready
PROFILE := .venv-profile
PROFILE_READY := $(PROFILE)/.ready
NODE_READY := console/node_modules/.ready
CLIENT_READY := clients/typescript/node_modules/.ready
SECONDS ?= 60
CODE := $(wildcard src tests scripts benchmarks)
TYPED := $(wildcard src tests scripts)

# pyvips is published as source only. Told that there is no system libvips, it installs as plain Python and takes
# the library, with its binding, from pyvips-binary: no compiler, and the same libvips everywhere.
export PKG_CONFIG := false

# What was compiled is kept, whatever the shell says: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

# Tests run side by side, in groups that share their servers: tests/conftest.py. There are two processes more than there
# are cores, since many tests wait. ARGS="-n0 -s" for one process.
CORES := $(or $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null),2)
SIDE_BY_SIDE := -n $(shell expr $(CORES) + 2) --maxprocesses 6 --dist loadfile --no-loadscope-reorder

# A .venv is trusted only if its interpreter runs and it was made in this folder (its scripts hold absolute paths).
ifneq ($(wildcard $(VENV)),)
ifneq ($(shell $(BIN)/python -c 'print(open("$(DEPS)").read().strip())' 2>/dev/null),$(CURDIR))
$(shell rm -f $(DEPS) $(READY))
endif
endif

.DEFAULT_GOAL := help
.PHONY: clients help run demo test native console browser infra hostile fuzz template servers check faults kills bench load soak bench-aws bench-engine bench-quick profile site package lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(READY) $(NATIVE) ## Start Safelight on this machine; ARGS="--port 8001" for another port
	$(BIN)/safelight serve $(ARGS)

demo: $(READY) $(NATIVE) ## Send one picture through the pipeline; PHOTO=path for your own
	$(BIN)/safelight demo $(if $(PHOTO),"$(PHOTO)")

test: $(READY) $(NATIVE) $(EMULATOR_READY) $(PACKAGE_READY) $(NODE_READY) $(CLIENT_READY) ## Run every test; ARGS="-k name" to choose
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

native: $(READY) ## Build the accelerator for marks on JPEGs, if cargo is here
	@if [ -s $(NATIVE) ]; then rm $(NATIVE); fi # what failed before is tried again when it is asked for
	@$(MAKE) --no-print-directory $(NATIVE)

console: $(NODE_READY) ## Build the console's pages from console/ into src/safelight/web/
	npm --prefix console run --silent check
	npm --prefix console run --silent build

browser: ## Fetch a browser for the console's tests; needs Debian or Ubuntu, and root
	command -v chromium || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-noto-core; }

infra: $(READY) $(EMULATOR_READY) template ## Test the AWS side at length: every right of every role, every journey on the stack
	SAFELIGHT_TEST_INFRA=all $(BIN)/python -m pytest tests/infra tests/docs/test_aws.py $(ARGS)

template: $(TEMPLATE_READY) ## Look for mistakes and weak settings in infra/template.yaml; infra/checkov.yaml has the exceptions
	@rm -f $(TEMPLATE_GOOD)
	@$(MAKE) --no-print-directory $(TEMPLATE_GOOD)

hostile: $(READY) ## Attack a running Safelight with every hostile file and 4,000 broken ones
	SAFELIGHT_TEST_MUTANTS=4000 $(BIN)/python -m pytest -s tests/hostile $(ARGS)

fuzz: $(READY) $(FUZZ_READY) ## Fuzz the parsers of strangers' bytes; SECONDS=60 for each, ARGS="header key" for some
	PYTHONPATH=$(FUZZ):. $(BIN)/python -m tests.fuzz $(SECONDS) $(ARGS)

servers: $(READY) $(EMULATOR_READY) ## Fetch two more servers for the tests; needs Java and Maven
	$(BIN)/python -m tests.support.jars

check: $(READY) $(TEMPLATE_GOOD) ## Lint, formatting, types, layers, dangerous calls, the template, docs in step with the code
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports --no-logo
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src
	$(BIN)/python scripts/docs.py --check
	$(BIN)/python scripts/operations.py --check

clients: $(READY) $(CLIENT_READY) ## Make the clients' types and the Postman collection from the API's description; needs npm
	$(BIN)/python scripts/clients.py
	npm --prefix clients/typescript run --silent check

faults: $(READY) ## Break Safelight in every known way, and see the tests notice: prints the table
	$(BIN)/python -m tests.faults.mutants

kills: $(READY) ## 300 kills over 1,000 jobs, a crash at every point every time: ten minutes
	SAFELIGHT_TEST_FAULTS=all $(BIN)/python -m pytest tests/faults -o log_cli=true --log-cli-level=WARNING $(ARGS)

bench: $(READY) $(NATIVE) ## Measure against peers, in one run
	$(BIN)/python benchmarks/run.py

bench-quick: $(READY) $(NATIVE) ## Measure the least that shows whether something has become slow: below a minute
	$(BIN)/python benchmarks/run.py --quick

bench-engine: $(READY) $(NATIVE) ## Measure the engine job by job beside Pillow, sharp, thumbor, imagor, imgproxy and ImageMagick; fetches them
	PYTHONPATH=. $(BIN)/python benchmarks/engine.py --write

bench-aws: $(READY) $(NATIVE) $(EMULATOR_READY) ## Measure the AWS side on an emulator, against the usual serverless way
	PYTHONPATH=. $(BIN)/python benchmarks/aws.py

profile: $(READY) $(NATIVE) $(PROFILE_READY) $(EMULATOR_READY) ## Show where the time of a job goes: tables and flame graphs; needs Linux and root
	PYTHONPATH=. $(BIN)/python benchmarks/profiling.py $(PROFILE)/bin/py-spy

load: $(READY) ## 1,000 and 10,000 jobs from 64 clients: all ended, none lost, memory, p99
	$(BIN)/python benchmarks/load.py 1000 10000

soak: $(READY) ## 100,000 small jobs that are erased after a minute: does anything grow? Half an hour
	$(BIN)/python benchmarks/load.py soak 100000

site: $(SITE_READY) ## Make a site of docs/, in build/site
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict

package: $(PACKAGE_READY) ## Make the packages in dist/, with a CycloneDX list of all that is in them
	rm -rf dist
	$(PACKAGE)/bin/python -m build --no-isolation --outdir dist .
	if command -v cargo >/dev/null; then $(PACKAGE)/bin/python -m build --no-isolation --wheel --outdir dist native; fi
	$(PACKAGE)/bin/python scripts/sbom.py dist/safelight.cdx.json

lock: $(READY) ## Bring requirements/*.txt in step with pyproject.toml; UPGRADE=1 for newer versions
	$(PIP_LOCKED) -r requirements/lock.txt
	$(call compile,dev) pyproject.toml --all-extras
	$(call compile,base) pyproject.toml --constraints requirements/dev.txt
	$(call compile,aws) pyproject.toml --extra aws --constraints requirements/dev.txt
	$(call compile,build) --group build --constraints requirements/dev.txt
	$(call compile,lock) --group lock
	$(call compile,emulator) --group emulator
	$(call compile,template) --group template
	$(call compile,package) --group package --constraints requirements/dev.txt
	$(call compile,fuzz) --group fuzz
	$(call compile,site) --group site
	$(call compile,profile) --group profile

clean: ## Remove .venv, caches and build products
	rm -rf $(VENV) $(EMULATOR) $(TEMPLATE) $(FUZZ) $(SITE) $(PACKAGE) $(PROFILE) build dist native/target console/node_modules clients/typescript/node_modules .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

# One requirement file: every platform and Python that we support, every version with its hashes, no address.
compile = $(BIN)/uv pip compile --quiet --no-config --system-certs --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
	$(if $(UPGRADE),--upgrade) --output-file requirements/$(1).txt

# The packages: made from nothing, so that a half-made .venv, another Python or an old package leaves no trace.
$(DEPS): requirements/build.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null || { \
		echo 'Safelight needs Python 3.11 to 3.14, and $(PYTHON) is not: try make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@echo 'Setting up $(VENV), once: about a minute'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP_LOCKED) -r requirements/build.txt
	@$(PIP_LOCKED) -r requirements/dev.txt
	@echo '$(CURDIR)' > $@

# Safelight itself, editable.
$(READY): $(DEPS) pyproject.toml
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

# The accelerator, a package of its own (native/), without which everything works. It has no dependency: nothing is
# fetched. SAFELIGHT_SPLICE=off leaves it unused.
$(NATIVE): $(DEPS) $(wildcard native/*.toml native/*.py native/src/*.rs native/src/*/*.rs native/src/*/*/*.rs)
	@if ! command -v cargo >/dev/null; then \
		echo 'No cargo here (https://rustup.rs): JPEGs will be decoded whole, which is slower' >&2; \
	elif echo 'Building safelight-splice, once: about half a minute' && \
		$(PIP) install --no-build-isolation --no-deps --no-index --force-reinstall ./native >$@.log 2>&1; then \
		: >$@; \
	else echo failed >$@; \
		echo 'safelight-splice could not be built: JPEGs will be decoded whole, which is slower.' >&2; \
		grep -m1 -E 'rustup could not|could not compile|linker .* not found' $@.log | sed 's/^ *//' >&2; \
		echo '$@.log has why; make native tries again' >&2; fi

# What stands in for AWS, apart from the project's packages. Without it, the tests that need it are skipped and say so.
$(EMULATOR_READY): requirements/emulator.txt
	@echo 'Setting up $(EMULATOR), once: about half a minute'
	@$(PYTHON) -m venv $(EMULATOR)
	@$(EMULATOR)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $< \
		|| { rm -rf $(EMULATOR)/bin; echo 'No emulator here: the tests that need it will be skipped' >&2; }
	@touch $@

$(TEMPLATE_READY): requirements/template.txt
	@echo 'Setting up $(TEMPLATE), once: about a minute'
	@$(PYTHON) -m venv --clear $(TEMPLATE)
	@$(TEMPLATE)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

# Looked at again only when the template, the exceptions or the linters change: it takes ten seconds.
$(TEMPLATE_GOOD): $(TEMPLATE_READY) infra/template.yaml infra/checkov.yaml
	$(TEMPLATE)/bin/cfn-lint infra/template.yaml
	$(TEMPLATE)/bin/checkov --config-file infra/checkov.yaml --file infra/template.yaml
	@touch $@

$(SITE_READY): requirements/site.txt
	@echo 'Setting up $(SITE), once'
	@$(PYTHON) -m venv --clear $(SITE)
	@$(SITE)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

$(PACKAGE_READY): requirements/build.txt requirements/package.txt
	@echo 'Setting up $(PACKAGE), once'
	@$(PYTHON) -m venv --clear $(PACKAGE)
	@for file in $^; do \
		$(PACKAGE)/bin/python -m pip --disable-pip-version-check --quiet install --no-build-isolation --require-hashes -r $$file || exit 1; \
	done
	@touch $@

# A folder beside the packages: it is one library, and the newest Python has none of it.
$(FUZZ_READY): requirements/fuzz.txt
	@$(PIP) install --require-hashes --upgrade --target $(FUZZ) -r $<
	@touch $@

$(PROFILE_READY): requirements/profile.txt
	@$(PIP) install --require-hashes --upgrade --target $(PROFILE) -r $<
	@touch $@

# What the console is built with. Without it the pages, which are committed, are served all the same; the test that
# they are what the source gives is skipped and says so.
$(NODE_READY): console/package-lock.json
	@if ! command -v npm >/dev/null; then \
		echo 'No npm here (https://nodejs.org): the console can not be built anew' >&2; \
	elif echo 'Fetching what the console is built with' && npm --prefix console ci --silent; then \
		touch $@; \
	else echo 'What the console is built with could not be fetched' >&2; fi

# What the TypeScript client is built with. Without it, the test that runs the client in Node is skipped and says so.
$(CLIENT_READY): clients/typescript/package-lock.json
	@if ! command -v npm >/dev/null; then \
		echo 'No npm here (https://nodejs.org): the TypeScript client can not be built' >&2; \
	elif echo 'Fetching what the TypeScript client is built with' && npm --prefix clients/typescript ci --silent; then \
		touch $@; \
	else echo 'What the TypeScript client is built with could not be fetched' >&2; fi
