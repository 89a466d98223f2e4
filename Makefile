# Thin: each target is a few lines of cargo, or of the project's own program `stack` (tests/stack).
#
# Everything is built once, in one profile: `-p` would choose other features for the dependencies and compile them again.

TARGET := $(or $(CARGO_TARGET_DIR),target)
STACK := $(TARGET)/release/stack

export SAM_CLI_TELEMETRY := 0
export AWS_DEFAULT_REGION ?= us-east-1

.DEFAULT_GOAL := help
.PHONY: help setup build up down demo test check bench

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build functions, tests and benchmarks
	cargo build --release --locked --workspace --all-targets

setup: build ## Install the pinned tools into .venv (the local AWS, the SAM CLI, cargo-lambda, typos, verifiers of signatures)
	$(STACK) setup

up: setup ## Start the local AWS and deploy template.yaml to it, or deploy again
	$(STACK) up

down: ## Stop what `make up` or `make demo` started
	$(STACK) down

demo: setup ## Send an audience of 10,000 to a demo receiver, from nothing
	$(TARGET)/release/demo

test: setup ## Run all tests, those of the deployed system among them
	cargo test --release --locked --workspace --no-fail-fast

check: setup ## Format, lints, documentation, spelling, dependencies, licences, template
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps
	.venv/tools/bin/typos
	$(STACK) tidy
	.venv/sam/bin/sam validate --lint

bench: setup ## Measure requests, fan-out, rendering and cold starts
	cargo bench --locked --workspace --bench main
