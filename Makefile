# Weatherglass. `make` alone lists what can be made.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.NOTPARALLEL:

# Node comes from here when the system's is too old; cargo may not be on a bare login's PATH.
export PATH := $(CURDIR)/.tools/node_modules/.bin:$(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/weatherglass
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) \
	$(addprefix web/,index.html package.json package-lock.json vite.config.ts tsconfig.json)
# Handed to the command that a target runs: make demo ARGS="--stations 40"
ARGS ?=

.PHONY: help setup setup-browser demo web build test lint fmt types bench chaos bench-pipeline fuzz screenshot train evaluate secrets up down clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## install or build what is missing (redis-server, Node, npm packages), and only that
	@scripts/setup.sh

setup-browser: ## the same, and what tests want: a Chromium, Python's msgpack, Mosquitto
	@scripts/setup.sh --browser

demo: setup web build ## the whole service on this machine with simulated stations; ARGS="--stations N --data DIR"
	@exec $(BINARY) demo $(ARGS)

web: setup web/dist/index.html ## the dashboard's bundle, when its sources changed

web/dist/index.html: $(WEB_SOURCES)
	@echo "== dashboard"
	@cd web && npm run --silent build
	@touch $@

build: ## the weatherglass binary
	@echo "== weatherglass (the first time compiles every dependency: about a quarter of an hour on two cores)"
	@cargo build --release -p weatherglass

test: setup-browser ## everything: formatting, lints, unit, end-to-end, web and browser tests
	@scripts/test.sh

lint: setup ## formatting and lints only
	@scripts/test.sh --lint

fmt: ## format the Rust sources
	@cargo fmt --all

types: setup build ## web/openapi.json from the binary, and the web's API types from that
	@$(BINARY) openapi > web/openapi.json
	@cd web && npm run --silent generate

bench: build ## latency from POST to WebSocket frame, beside a bare Redis round trip and one inference
	@$(BINARY) bench latency $(ARGS)

bench-pipeline: build ## what an observation costs on its way, beside redis-benchmark, bare inference and Python
	@$(BINARY) bench pipeline --report docs/BENCH-PIPELINE.md $(ARGS)

FAULTS ?= 100
SEED ?= 1
chaos: setup ## faults at random moments under load, everything accounted for: make chaos FAULTS=100 SEED=1
	@WEATHERGLASS_CHAOS_FAULTS=$(FAULTS) WEATHERGLASS_CHAOS_SEED=$(SEED) \
		cargo test --release --workspace --test chaos -- --nocapture

SECONDS_EACH ?= 60
fuzz: ## every parser against made-up bytes (nightly, cargo-fuzz): make fuzz SECONDS_EACH=60 ARGS="metar ecowitt"
	@scripts/fuzz.sh $(SECONDS_EACH) $(ARGS)

screenshot: setup-browser web build ## docs/screenshot-*.png, from a running demo or one started for it
	@scripts/screenshot.sh

train: need-DATA need-VERSION build ## a new model version: make train DATA=DIR VERSION=1.0.0
	@$(BINARY) train --data "$(DATA)" --version "$(VERSION)" $(ARGS)

NAME ?= weatherglass-judged
# What serves is trained on everything; its twin, by the same recipe up to a cut, can be judged.
evaluate: need-DATA build ## judge the model where it never was: make evaluate DATA=DIR; others: NAME=weatherglass ARGS=--all
	@$(BINARY) evaluate --name "$(NAME)" --data "$(DATA)" $(ARGS)

need-%:
	@[ -n "$($*)" ] || { echo "$* is not given: make $(MAKECMDGOALS) $*=..." >&2; exit 2; }

secrets: ## passwords and keys for compose, as files in deploy/secrets; those that exist are kept
	@scripts/secrets.sh

up: secrets ## the stack of compose.yaml, in containers
	@docker compose up --build --detach

down: ## stop that stack; its data stays
	@docker compose down

clean: ## remove what was built; data stays
	@cargo clean
	@rm -rf web/dist web/node_modules .tools
