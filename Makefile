# make demo      install into .venv and run the demo      make check   lint and quick tests
# make test      lint and all tests                       make soak    stress the server for an hour
# make model     train the bundled model (hours)          make vsix    build the VS Code extension with the package inside
# make editors   install real editors for tests           make test-editors   test the installed editors
# make site      build the documentation as a site        make help    show this help
PYTHON ?= python3
# Extra flags for pip, for example for PyTorch's CPU build: make test PIP_FLAGS="--extra-index-url ..." (see docs/install.md)
PIP_FLAGS ?=
BIN := .venv/bin
# Python compiles modules to bytecode on their first import; compiling all of PyTorch's would take half of the installation.
PIP := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt $(PIP_FLAGS)
# Otherwise pytest would compile all test files again in each run.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-code pytest soak check lint map model settings tour test-vscode editors test-editors clean vsix site test-site
help:
	@sed -n '1,5s/^# //p' Makefile

# A stamp file is rebuilt only if its dependencies have changed: a second run needs no network.
.venv/made: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tinycopilot needs Python 3.11 or later; try: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv ..."
	@$(PIP) --editable .
	@touch $@

# On its own, so that `make test` compiles and installs at the same time.
.venv/compiled: .venv/made
	@$(BIN)/tinycopilot compile
	@touch $@

.venv/made-for-training: .venv/made
	@echo "Installing PyTorch ..."
	@$(PIP) --editable '.[train]'
	@touch $@

# Installs PyTorch, too: one pip run is faster than two, since each rebuilds the package.
.venv/made-for-tests: .venv/made
	@echo "Installing PyTorch and test dependencies ..."
	@$(PIP) --editable '.[train,http]' pytest pytest-lsp pytest-timeout pytest-xdist hypothesis build hatchling ruff mypy
	@touch .venv/made-for-training $@

demo: .venv/compiled
	@$(BIN)/tinycopilot demo

# Installs the editors, where possible, while the other tests run, and then runs the editor tests. The recipe uses SUBMAKE
# because `make -n` would execute a recipe that contains $(MAKE).
SUBMAKE := $(MAKE) --no-print-directory
test:
	@tests/editors/run_after.sh $(EDITORS) $(BIN)/tinycopilot-server $(SUBMAKE) test-code

# All tests except those in editors. Linting, the extension's tests and compilation use one core each.
test-code:
	@$(SUBMAKE) --jobs=2 lint test-vscode .venv/compiled
	@$(SUBMAKE) pytest

pytest: .venv/made-for-tests .venv/compiled
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal

# A million valid messages, 100,000 malformed ones, and 200 kills of the server. For a shorter run, override SOAK.
SOAK ?= --messages 1000000 --malformed 100000 --kills 200
soak: .venv/made-for-tests .venv/compiled
	@$(BIN)/python -m pytest -q -s tests/protocol/test_soak.py tests/protocol/test_malformed.py tests/protocol/test_killed.py $(SOAK)
	@$(BIN)/python -m pytest -q -n 2 tests/property --hypothesis-profile=long --timeout=0

# The quick tests: those in tests/unit that aren't marked slow.
check: lint .venv/made-for-tests .venv/compiled
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow" tests/unit

lint: .venv/made-for-tests
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy

# The VS Code extension: type check, build, and tests without an editor. (Those in VS Code are in tests/editors.)
test-vscode: editors/vscode/node_modules/made
	@cd editors/vscode && npm run --silent check && npm run --silent build && npm run --silent test

editors/vscode/node_modules/made: editors/vscode/package-lock.json
	@echo "Installing build dependencies of the VS Code extension ..."
	@cd editors/vscode && npm ci --silent --no-audit --no-fund
	@touch $@

# Builds the VS Code extension with the package's wheel inside. Needs Node 22 or later.
vsix: .venv/made-for-tests editors/vscode/node_modules/made
	@rm -rf editors/vscode/wheel && $(BIN)/python -m build --wheel --no-isolation --outdir editors/vscode/wheel . > /dev/null
	@cd editors/vscode && npm run package

# Tests in VS Code, Neovim, Emacs and Helix. `editors` installs the editors (on Debian, as root: see the script);
# `test-editors` runs the tests of those that are installed. SERVER defaults to the one in .venv.
EDITORS ?= .editors
SERVER ?= $(BIN)/tinycopilot-server
editors:
	@tests/editors/install_editors.sh $(EDITORS)

test-editors: $(if $(filter $(BIN)/%,$(SERVER)),.venv/made)
	@tests/editors/run_all.sh $(EDITORS) $(SERVER)

# Regenerates the settings tables in docs/settings.md and the editors' files from server/tinycopilot_server/settings.py.
settings: .venv/made
	@$(BIN)/python tests/settings_table.py

# Regenerates the tour's pictures and the output of its snippets with the bundled model.
tour: .venv/made-for-training
	@$(BIN)/python docs/tour/pictures.py && $(BIN)/python docs/tour/runs.py && OMP_NUM_THREADS=1 $(BIN)/python docs/tour/snippets.py

# Regenerates the diagram and the index of all modules in docs/architecture.md from the sources.
map:
	@$(PYTHON) tests/architecture_map.py

# Builds the documentation as a site in .site. Needs no network; fails on broken links.
SITE := .site
.venv/made-for-docs: .venv/made-for-training
	@echo "Installing build dependencies of the site ..."
	@$(PIP) --editable '.[train,docs]'
	@touch $@

site: .venv/made-for-docs
	@$(BIN)/python -m sphinx -q -W --keep-going -d $(SITE)/.doctrees docs $(SITE)
	@echo "$(SITE)/index.html"

# Checks the site's main pages in a browser, with axe. (`make editors` installs Node and the browser.)
test-site: site
	@EDITORS_DIR="$(abspath $(EDITORS))" $(EDITORS)/node/bin/node tests/editors/site_pages.mjs $(SITE)

# Retrains the bundled model, and replaces the one in paras/. Downloads the texts listed in benchmarks/model_data.json and
# prepares them in DATA, outside the repository. For a trial run: make model LENGTH=0.001
DATA ?= $(HOME)/.cache/tinycopilot-model-data
LENGTH ?= 1
model: .venv/made-for-training
	@$(BIN)/python benchmarks/bundled_model.py "$(DATA)" --length $(LENGTH)

clean:
	@rm -rf .venv .site docs/reference editors/vscode/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
