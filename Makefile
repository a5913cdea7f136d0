.PHONY: venv engine setup lint test test-full demo bench

setup:   ## everything a checkout needs
	@scripts/setup

venv:    ## the Python environment alone
	@scripts/setup venv

engine:  ## a container engine that answers
	@scripts/engine

lint: venv
	@.venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

test:    ## style, types, layers, fast and real tests
	@scripts/test

test-full:  ## the builds that take long
	@scripts/test-full

demo: setup  ## from real source to services started from a signed repository
	@.venv/bin/python scripts/demo.py

bench: setup ## the figures of benchmarks/
	@for name in startup planning scheduler publish zookeeper_build host_preparation following deploy_unchanged; do \
		echo "== $$name"; .venv/bin/python -m benchmarks.$$name || exit 1; done
