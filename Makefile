# `make help` lists what there is. Development tools are pinned in hack/tools and built on first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOTESTSUM_FORMAT ?= pkgname
FUZZTIME ?= 10s

# The race detector needs a C compiler; `go env` says 0 where none is found.
race = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

##@ Use

.PHONY: run
run: build ## Bring up the whole product on this machine; Ctrl-C stops it. ARGS="--flag …" are passed on.
	@exec bin/watchbill dev $(ARGS)

.PHONY: build
build: ## Build bin/watchbill.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/watchbill ./cmd/watchbill

##@ Develop

.PHONY: test
test: ## Run every test against one PostgreSQL made for the run. PKG=./internal/… and ARGS="-run …" narrow it.
	@hack/tool --path gotestsum >/dev/null
	@go build -buildvcs=false -o bin/withpostgres ./hack/withpostgres
	exec bin/withpostgres -- hack/tool gotestsum --format $(GOTESTSUM_FORMAT) -- $(race) $(ARGS) $(or $(PKG),./...)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s).
	hack/fuzz $(FUZZTIME)

.PHONY: generate
generate: ## Make the generated code anew: queries, the REST contract's types and client.
	hack/tool sqlc generate
	go generate ./...

.PHONY: lint
lint: ## Run the linters and check the formatting.
	hack/tool golangci-lint run

.PHONY: fmt
fmt: ## Format the code.
	hack/tool golangci-lint fmt

.PHONY: verify
verify: ## Check that generated files and go.mod are up to date, lint and formatting clean, the tree clean.
	hack/verify

.PHONY: clean
clean: ## Remove what was built, and the database that `make run` keeps.
	rm -rf bin .watchbill

.PHONY: help
help: ## Show this.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
