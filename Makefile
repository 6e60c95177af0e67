# make demo | run | test | quick | check | bench | messages | lock        (what each does: make help)
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
# The newest that is there; python3 first, since its venv package is the one a bare machine has.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PYTEST_ARGS ?=
AT_ONCE ?= -n 3 --dist loadfile
TEST_ENV := env -u DATABASE_URL -u REDIS_URL -u SECRET_KEY -u ENCRYPTION_KEYS \
	HARBORSYNC_DATA_DIR=$(CURDIR)/var/test
# With it, every part would compile every module at every start.
unexport PYTHONDONTWRITEBYTECODE
SERVERS := docker-registry:docker-registry skopeo:skopeo initdb:postgresql

.PHONY: help run demo test quick check bench messages lock clean

help:
	@echo "make run       start HarborSync on this machine (PORT, default 8080)"
	@echo "make demo      HarborSync, two registries, a rule and a push: watch it arrive (DEMO_EXIT=1: then end)"
	@echo "make test      the whole suite, on SQLite and then on PostgreSQL"
	@echo "make quick     the tests that take no servers and no time, on SQLite"
	@echo "make check     ruff, mypy, import contracts"
	@echo "make bench     HarborSync beside skopeo, crane, regctl (CASE=name, RUNS=5, SCALE=1, OUTPUT=file): docs/benchmarks.md"
	@echo "make messages  collect and compile translations"
	@echo "make lock      pin the dependencies again"

run: $(VENV)/.installed
	@$(PY) manage.py compilemessages
	@exec $(PY) manage.py up

demo: $(VENV)/.installed
	@.ci/need --try docker-registry:docker-registry skopeo:skopeo
	@$(PY) manage.py compilemessages
	@exec $(PY) manage.py demo

# Three at a time, as most tests wait more than they work. What fails is run once more alone: some tests wait for real
# processes, and a busy machine can be too slow for them. Both summaries are printed; only what fails twice fails.
# The registry client knows no database: its own tests run once.
test: $(VENV)/.installed-dev
	@.ci/need $(SERVERS)
	@.ci/need-browser
	@$(TEST_ENV) $(PY) manage.py compilemessages
	@failed=; \
	echo "== Tests on SQLite"; \
	$(TEST_ENV) $(PY) -m pytest $(AT_ONCE) $(PYTEST_ARGS) || $(TEST_ENV) $(PY) -m pytest --last-failed || failed="$$failed SQLite"; \
	echo "== Tests on PostgreSQL"; \
	$(TEST_ENV) $(PY) -m tests.servers $(PY) -m pytest $(AT_ONCE) --ignore tests/registry $(PYTEST_ARGS) || \
		$(TEST_ENV) $(PY) -m tests.servers $(PY) -m pytest --last-failed || failed="$$failed PostgreSQL"; \
	if [ -n "$$failed" ]; then echo "FAILED on:$$failed" >&2; exit 1; fi

quick: $(VENV)/.installed-dev
	@$(TEST_ENV) $(PY) -m pytest -q $(AT_ONCE) -m "not slow and not browser" $(PYTEST_ARGS)

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(TEST_ENV) $(VENV)/bin/mypy .
	$(VENV)/bin/lint-imports

bench: $(VENV)/.installed-dev
	@.ci/need $(SERVERS)
	@$(TEST_ENV) $(PY) manage.py compilemessages
	@$(PY) -m bench $(if $(CASE),--case $(CASE)) $(if $(RUNS),--runs $(RUNS)) $(if $(SCALE),--scale $(SCALE)) \
		$(if $(OUTPUT),--output $(OUTPUT))

messages: $(VENV)/.installed-dev
	@.ci/need xgettext:gettext
	$(PY) manage.py makemessages --locale zh_Hans --no-location --ignore '.venv/*' --ignore 'var/*' --ignore 'tests/*'
	$(PY) manage.py compilemessages

lock: $(VENV)/.installed-dev
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		pyproject.toml -o requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--group dev pyproject.toml -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(PY):
	@.ci/need-python "$(PYTHON)"
	@echo "Making a Python environment in $(VENV)"
	@$(or $(PYTHON),python3) -m venv $(VENV)

$(VENV)/.installed: requirements.lock | $(PY)
	@echo "Installing what HarborSync needs"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# The development lock holds everything the other holds.
$(VENV)/.installed-dev: requirements-dev.lock | $(PY)
	@echo "Installing what HarborSync and its tests need"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/.installed
