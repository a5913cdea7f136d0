.PHONY: setup venv engine lint site test test-full test-long engines image fuzz kills demo-distributed demo-architectures demo real-ambari adopt stack stack-ambari soak bench

setup:   ## set up the checkout: Python environment and container engine
	@scripts/setup

venv:    ## set up the Python environment only
	@scripts/setup venv

engine:  ## install or start a container engine if none is running
	@scripts/engine

lint: venv  ## style, types, import layers, the documentation site
	@.venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports && .venv/bin/python scripts/docs_site.py

site: venv  ## build the documentation site in site/html and serve it: PORT=8000
	@.venv/bin/python scripts/docs_site.py && .venv/bin/python -m http.server --bind 127.0.0.1 --directory site/html $(or $(PORT),8000)

test:    ## lint, fast tests and real tests
	@scripts/test

test-full:  ## the long builds
	@scripts/test-full

test-long:  ## what takes a quarter of an hour each: adoption, the container image, two architectures, the pages for ten minutes
	@scripts/setup tests && scripts/setup qemu && .venv/bin/pytest tests/real/long --durations 10

engines:  ## small builds with Podman and rootless engines, as root: ACCOUNT=NAME is the ordinary account
	@scripts/engines $(ENGINES)

image: setup  ## the tool's container image: BASE=debian:trixie-slim (or embedded) TAG=bigtop-builder
	@.venv/bin/python scripts/image.py --base $(or $(BASE),debian:trixie-slim) --tag $(or $(TAG),bigtop-builder)

fuzz: venv  ## damaged input for every reader, as long as wanted: ROUNDS=20000 SEED=1 TARGET=rpm
	@.venv/bin/python scripts/fuzz.py --rounds $(or $(ROUNDS),2000) --first $(or $(FIRST),0) $(if $(SEED),--seed $(SEED)) --target "$(TARGET)"

kills: setup  ## kill build, publish, bundle and deploy at random times, run them again and compare: COUNT=100 SEED=1 COMMAND=build
	@.venv/bin/python scripts/kills.py --count $(or $(COUNT),100) $(if $(SEED),--seed $(SEED)) --command "$(COMMAND)"

demo: setup  ## build, publish and deploy on container hosts
	@.venv/bin/python scripts/demo.py

demo-distributed:  ## build on a cluster of this machine, whose workers have stores of their own and one is killed
	@scripts/setup tests && .venv/bin/python scripts/demo_distributed.py $(COMPONENTS)

demo-architectures:  ## packages of two architectures from such a cluster, of which one worker emulates the other architecture
	@scripts/setup tests && scripts/setup qemu && .venv/bin/python scripts/demo_architectures.py $(COMPONENTS)

real-ambari: setup  ## the demo and the contract suite on a real Ambari, built from SOURCE=PATH
	@.venv/bin/python scripts/real_ambari.py "$(SOURCE)" $(OPTIONS)

adopt: setup  ## a cluster made by hand is adopted, changed, repaired and changed back: SOURCE=PATH for a real Ambari
	@.venv/bin/python scripts/adopt.py $(SOURCE) $(OPTIONS)

stack: setup  ## the whole stack on four container hosts, built from SOURCES=DIR: OPTIONS="--only hadoop,hive --keep"
	@.venv/bin/python scripts/stack.py "$(SOURCES)" $(OPTIONS)

stack-ambari: setup  ## the same stack through a real Ambari, whose tree is SOURCES/ambari
	@.venv/bin/python scripts/stack_ambari.py "$(SOURCES)" $(OPTIONS)

soak: setup  ## rounds of deploy, change, disturb, destroy on a test bed: TESTBED=NAME OPTIONS="--rounds 2 --seed 1"
	@.venv/bin/python scripts/soak.py "$(TESTBED)" $(OPTIONS)

bench: setup ## run the benchmarks
	@for name in startup planning scheduler publish component_build host_preparation following deploy_unchanged distributed; do \
		echo "== $$name"; .venv/bin/python -m benchmarks.$$name || exit 1; done
