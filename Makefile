# `make demo` and `make test` make their own .venv; all they need is Python 3.11 or later with pip.
PYTHON ?= python3
# The tests of the contract wait for servers, and compute little; what they cover, others cover in process.
WAITERS ?= 12
# Those of MEASURING judge by the time at which bytes come: the machine must have time to spare.
MEASURERS ?= 6
MEASURING := doctor proxies
WORKERS ?= 4
PY := .venv/bin/python
# Some images set it. Here hundreds of processes import the same files, which are to be compiled once.
unexport PYTHONDONTWRITEBYTECODE
PATHS := streamkit tests $(wildcard examples benchmarks .ci)

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: demo test stalls soak bench audit lint types imports coverage check clean

demo: .venv/.demo ## the chat example: prints a URL and a curl line
	$(PY) examples/flask/app.py

test: .venv/.stamp ## the whole suite, with coverage data for `make coverage`
	rm -f .coverage .coverage.*
	$(PY) -m pytest -n $(WAITERS) --dist loadgroup -m "not soak" tests/contract
	$(PY) -m pytest -n $(MEASURERS) --dist loadgroup -m "not soak" --cov --cov-report= $(MEASURING:%=tests/%)
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m "not soak and not chaos" --cov --cov-append --cov-report= \
		$(patsubst %,--ignore=tests/%,contract $(MEASURING))
	$(PY) -m pytest -n 3 -m "chaos and not soak" tests/chaos

stalls: .venv/.stamp ## the suite in processes that stall, to find what depends on time
	PYTHONPATH=tests/rig/stalls $(PY) -m pytest -n $(MEASURERS) --dist loadgroup -m "not soak and not chaos"

soak: .venv/.stamp .venv/.fuzz ## streams dropped by the thousand, servers and logs killed, inputs sought that break; an hour
	$(PY) -m pytest -m soak

bench: .venv-bench/.stamp ## measures against the peers, in their newest versions, and writes docs/performance.md; half an hour
	.venv-bench/bin/python -m benchmarks $(BENCH)

audit: .venv-audit/.stamp .venv/.stamp ## asks PyPI what is known against the packages that the extras install
	$(PY) .ci/audit.py .venv-audit/bin/pip-audit

lint: .venv/.stamp
	$(PY) -m ruff format --check $(PATHS)
	$(PY) -m ruff check $(PATHS)
	$(PY) .ci/check_sizes.py

types: .venv/.stamp
	$(PY) -m mypy $(PATHS)
	$(PY) -m pyright
	$(PY) .ci/check_types.py

imports: .venv/.stamp
	.venv/bin/lint-imports
	$(PY) .ci/check_imports.py

coverage: .venv/.stamp ## reads what the last `make test` measured
	mkdir -p .cache
	$(PY) -m coverage json -q -o .cache/coverage.json
	$(PY) .ci/check_coverage.py .cache/coverage.json

.PHONY: docs
docs: .venv-docs/.stamp ## the site of the documentation, in .cache/docs/site; any warning or broken link fails
	.venv-docs/bin/python .ci/build_docs.py

check: lint types imports test coverage

clean:
	rm -rf .venv .venv-audit .venv-bench .venv-docs .cache .coverage .coverage.*

# Debian's Python comes without ensurepip: there the machine's own pip furnishes the environment.
# pip 25.1 is the first that knows dependency groups.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "streamkit needs Python 3.11 or later: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv || { $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $@ install pip; }
	$(PY) -m pip install --quiet --upgrade 'pip>=25.1'

# The demo needs Flask and httpx alone, so it starts in seconds on a fresh clone.
.venv/.demo: pyproject.toml | .venv/bin/python
	$(PY) -m pip install --quiet -e '.[flask]' httpx
	touch $@

.venv/.stamp: pyproject.toml | .venv/bin/python
	$(PY) -m pip install --quiet -e . --group dev
	touch .venv/.demo $@

# The peers are no business of the tests, and are to be the newest there are: an environment of their own.
.venv-bench/bin/python:
	$(PYTHON) -m venv .venv-bench || { $(PYTHON) -m venv --clear --without-pip .venv-bench \
		&& $(PYTHON) -m pip --python $@ install pip; }
	.venv-bench/bin/python -m pip install --quiet --upgrade 'pip>=25.1'

.venv-bench/.stamp: pyproject.toml | .venv-bench/bin/python
	.venv-bench/bin/python -m pip install --quiet --upgrade -e . --group bench
	touch $@

# What asks about dependencies has some of its own, which are nobody's business here.
.venv-audit/.stamp: | .venv/bin/python
	$(PY) -m venv .venv-audit || { $(PY) -m venv --clear --without-pip .venv-audit \
		&& $(PY) -m pip --python .venv-audit/bin/python install pip; }
	.venv-audit/bin/python -m pip install --quiet --upgrade pip-audit
	touch $@

# For `make soak` alone.
.venv/.fuzz: pyproject.toml | .venv/.stamp
	$(PY) -m pip install --quiet --group fuzz
	touch $@

# The generator of the site reads streamkit and never imports it: nothing else is installed beside it.
.venv-docs/bin/python:
	$(PYTHON) -m venv .venv-docs || { $(PYTHON) -m venv --clear --without-pip .venv-docs \
		&& $(PYTHON) -m pip --python $@ install pip; }
	.venv-docs/bin/python -m pip install --quiet --upgrade 'pip>=25.1'

.venv-docs/.stamp: pyproject.toml | .venv-docs/bin/python
	.venv-docs/bin/python -m pip install --quiet --group docs
	touch $@
