# csbm: what can be done here. `make` alone lists the targets.
SHELL := /bin/sh
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
SOURCES := $(shell find src plugin-api rack-config migrations lab -type f -name '*.ts' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help build check lint format types laws test test-demo test-mysql chaos chaos-mutants bench fuzz docs demo demo-stop adapter ramdisk image-tiny e2e clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

dist/.built: $(SOURCES) tsconfig.json tsconfig.build.json node_modules/.installed
	tsc -p tsconfig.build.json
	@touch $@

build: dist/.built ## compile to dist/

lint: node_modules/.installed
	eslint --cache --cache-location node_modules/.cache/eslint/ .

format: node_modules/.installed
	prettier --check --log-level warn .

types: node_modules/.installed
	tsc --noEmit -p tsconfig.json

laws: node_modules/.installed
	mocha 'test/architecture/*.test.ts'

check: lint format types laws ## lint, format, types, import law

# Two files at a time; one after the other (JOBS=1) also shows whether any test keeps its process from ending.
JOBS ?= 2
test: build ## run all tests but those of the demo (EXCEPT="glob glob" leaves some out; JOBS=1 one file at a time)
	mocha $(if $(filter-out 1,$(JOBS)),--parallel --jobs $(JOBS)) 'test/**/*.test.ts' --ignore test/demo/demo.test.ts $(foreach glob,$(EXCEPT),--ignore '$(glob)')

test-demo: build ## run the tests of the demo: side by side, interrupted, kept up, over a floor that errs
	mocha test/demo/demo.test.ts

# MariaDB as a plain process in a temporary folder: the storage on it, what works on the storage, and instances' lives.
test-mysql: build ## run the tests of the storage, and a choice of others, on Debian's MariaDB
	node --import tsx test/support/with-mariadb.ts mocha \
	  'test/store/*-store.test.ts' test/store/machine-lookups.test.ts test/store/small-stores.test.ts test/store/keys.test.ts test/store/migrations.test.ts \
	  test/store/unit-of-work.test.ts 'test/store/mariadb/*.test.ts' 'test/instances/*.test.ts' test/operations/access/access.test.ts \
	  'test/operations/networks/*.test.ts' 'test/operations/reconcile/*.test.ts' test/operations/quarantine/device-watch.test.ts test/regressions/a-refusal-of-an-earlier-run-is-forgotten.test.ts \
	  test/scenario/law.test.ts test/scenario/crash.test.ts

# Faults and kills, drawn from a seed that repeats them; a choice of runs is part of `make test`. docs/chaos.md
chaos: build ## the real service against failing devices and kill -9 (SEED=n repeats one; RUNS=n, MINUTES=n, ENGINE=maas, STORE=mariadb, INSTANCES=n)
	@node --import tsx test/chaos/main.ts

chaos-mutants: build ## services that are broken on purpose, each of which chaos must notice (MUTANT=part of a name, RUNS=n each)
	@node --import tsx test/chaos/mutants/main.ts

# Never part of `make test`: it measures, for minutes, and wants the machine to itself. docs/bench.md
bench: build ## measure against the field's own programs (ONLY=name, JSON=1, STRICT=1)
	@node --import tsx test/bench/main.ts $(if $(JSON),--json)

# The checks come before anything is installed, so they need nothing but a shell and any Node.
demo: ## a simulated floor, the real service, an instance's whole life (ENGINE=maas, KEEP=1 leaves it up, V=1 tells everything)
	@command -v node >/dev/null || { echo 'Node.js is missing: install version 20.19 or newer (https://nodejs.org), then try again.'; exit 1; }
	@command -v npm >/dev/null || { echo 'npm is missing: it comes with Node.js from https://nodejs.org; install it, then try again.'; exit 1; }
	@node lab/demo/preflight.mjs
	@echo 'Installing and building what is not there yet (a minute or two the first time) ...'
	@$(MAKE) -s build
	@exec node --enable-source-maps dist/lab/demo/main.js

demo-stop: ## end every demo that KEEP=1 left up
	@test ! -f dist/lab/demo/stop-demos.js || exec node dist/lab/demo/stop-demos.js

fuzz: node_modules/.installed ## fuzz what reads strangers' input (TARGET=name, SECONDS=20 each, SEED=n)
	@TARGET='$(TARGET)' SECONDS='$(or $(SECONDS),20)' SEED='$(SEED)' node --import tsx test/fuzz/main.ts

docs: node_modules/.installed ## write the generated parts of docs/ anew
	node --import tsx src/config/write-reference.ts
	node --import tsx src/cli/write-reference.ts
	node --import tsx test/docs/write-pages.ts

adapter: ## build and test the jar for CloudStack's management server (Maven, Java 11 or newer)
	@cloudstack/agent-plugin/build.sh

# What real machines boot; docs/ramdisk.md and docs/images.md tell the settings.
ramdisk: ## build the ramdisk of real machines (PROFILE=full|lab, OUT=folder, FIRMWARE=folder)
	@src/drivers/deploy/native/agent/build-ramdisk.sh

image-tiny: ## build the tiny test image (OUT=file)
	@src/drivers/deploy/native/agent/image-tiny.sh

e2e: ## an instance's whole life on QEMU, Open vSwitch and ipmi_sim (root; RUNS="bios uefi", KEEP=1 leaves it up)
	@test/e2e/run.sh

clean: ## remove what was built
	rm -rf dist coverage
