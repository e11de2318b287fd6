# csbm: what can be done here. `make` alone lists the targets.
SHELL := /bin/sh
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
SOURCES := $(shell find src plugin-api rack-config migrations lab -type f -name '*.ts' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help build check lint format types laws test clean

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

test: build ## run all tests
	mocha 'test/**/*.test.ts'

clean: ## remove what was built
	rm -rf dist coverage
