# make demo    see it work          make check  style, types, quick tests               make test   style, types, all tests
# make model   train the model that ships (hours)               make soak    the server, tried for an hour
# make help    this                make vsix   the VS Code extension, with the package in it
# make editors, make test-editors    install real editors, type in them
# make site    the documentation as a site, in .site
PYTHON ?= python3
# Where pip finds PyTorch for the CPU alone, for instance: make test PIP_FLAGS="--extra-index-url ..." (see README)
PIP_FLAGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_FLAGS)

.PHONY: help demo test pytest soak check lint map model settings tour test-vscode editors test-editors clean vsix site test-site
help:
	@sed -n '1,5s/^# //p' Makefile

# Each stamp is made anew only when what it depends on has changed: a second run needs no network.
.venv/made: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tinycopilot needs Python 3.11 or later; try: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv ..."
	@$(PIP) --editable .
	@$(BIN)/tinycopilot compile
	@touch $@

.venv/made-for-training: .venv/made
	@echo "Installing PyTorch ..."
	@$(PIP) --editable '.[train]'
	@touch $@

.venv/made-for-tests: .venv/made-for-training
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[http]'
	@$(PIP) pytest pytest-lsp pytest-timeout pytest-xdist hypothesis build hatchling ruff mypy
	@touch $@

demo: .venv/made
	@$(BIN)/tinycopilot demo

# The editors are installed meanwhile, where they can be, and typed into afterwards; VS Code beside the others.
test:
	@tests/editors/after.sh $(EDITORS) $(BIN)/tinycopilot-server $(MAKE) --jobs=2 lint test-vscode pytest

pytest: .venv/made-for-tests
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal

# A million messages of a legal editor, a hundred thousand that make no sense, two hundred kills. For less, name it.
SOAK ?= --messages 1000000 --malformed 100000 --kills 200
soak: .venv/made-for-tests
	@$(BIN)/python -m pytest -q -s tests/protocol/test_soak.py tests/protocol/test_malformed.py tests/protocol/test_killed.py $(SOAK)
	@$(BIN)/python -m pytest -q -n 2 tests/property --hypothesis-profile=long --timeout=0

# The quick tests: those of tests/unit that are not marked slow.
check: lint .venv/made-for-tests
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow" tests/unit

lint: .venv/made-for-tests
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy

# The extension's types and its bundle. (The editors themselves: tests/editors.)
test-vscode: editors/vscode/node_modules/made
	@cd editors/vscode && npm run --silent check && npm run --silent build && npm run --silent test

editors/vscode/node_modules/made: editors/vscode/package-lock.json
	@echo "Installing what the VS Code extension is built with ..."
	@cd editors/vscode && npm ci --silent --no-audit --no-fund
	@touch $@

# The extension, with the package's wheel in it. Node 22 or later.
vsix: .venv/made-for-tests editors/vscode/node_modules/made
	@rm -rf editors/vscode/wheel && $(BIN)/python -m build --wheel --no-isolation --outdir editors/vscode/wheel . > /dev/null
	@cd editors/vscode && npm run package

# Real editors: VS Code, Neovim, Emacs, Helix. The first installs them (Debian, as root: see the script), the second types
# in those that are there. The server is the one in .venv, unless told.
EDITORS ?= .editors
SERVER ?= $(BIN)/tinycopilot-server
editors:
	@tests/editors/install_editors.sh $(EDITORS)

test-editors: $(if $(filter $(BIN)/%,$(SERVER)),.venv/made)
	@tests/editors/run_all.sh $(EDITORS) $(SERVER)

# Regenerates the settings tables in docs/settings.md and the editors' files from server/tinycopilot_server/settings.py.
settings: .venv/made
	@$(BIN)/python tests/settings_table.py

# Draws the tour's pictures again, and renews the output of its snippets, with the bundled model.
tour: .venv/made-for-training
	@$(BIN)/python docs/tour/pictures.py && $(BIN)/python docs/tour/runs.py && OMP_NUM_THREADS=1 $(BIN)/python docs/tour/snippets.py

# The diagram in docs/architecture.md, from the imports.
map:
	@$(PYTHON) tests/architecture_map.py

# The documentation as a site, in .site: offline, and strict, so that a broken link fails.
SITE := .site
.venv/made-for-docs: .venv/made-for-training
	@echo "Installing what the site is built with ..."
	@$(PIP) --editable '.[train,docs]'
	@touch $@

site: .venv/made-for-docs
	@$(BIN)/python -m sphinx -q -W --keep-going -d $(SITE)/.doctrees docs $(SITE)
	@echo "$(SITE)/index.html"

# Its main pages in a browser, with axe. (Node and the browser: make editors.)
test-site: site
	@EDITORS_DIR="$(abspath $(EDITORS))" $(EDITORS)/node/bin/node tests/editors/site_pages.mjs $(SITE)

# Replaces paras/; the old model stays beside it, numbered. The text is fetched and prepared in DATA, outside the
# repository, as benchmarks/model_data.json lists it. A trial: make model MODEL_FLAGS="--epochs 0.001"
DATA ?= $(HOME)/.cache/tinycopilot-model-data
MODEL_FLAGS ?= --epochs 2
MODEL_EXT := py ts js go rs c h md toml yaml yml sh
MODEL_TRAIN = train --size small --corpus corpus.txt $(1)/text --ext $(MODEL_EXT) $(MODEL_FLAGS)
model: .venv/made-for-training
	@$(BIN)/python benchmarks/model_data.py "$(DATA)"
	@$(BIN)/tinycopilot $(call MODEL_TRAIN,"$(DATA)") --model_path paras/tiny_gpt.pth --use-anyway
	@$(BIN)/python benchmarks/manifest.py 'tinycopilot $(call MODEL_TRAIN,$$DATA)'

clean:
	@rm -rf .venv .site docs/reference editors/vscode/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
