# `make help` lists what there is. Development tools are pinned in hack/tools and built on first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOTESTSUM_FORMAT ?= pkgname
FUZZTIME ?= 10s

# What tests run beside PostgreSQL and the API server; built before they start, as a test has not that much time.
TEST_TOOLS := promtool helm kubectl

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
test: ## Run every test against one PostgreSQL made for the run, and real API servers. PKG=./internal/… and ARGS="-run …" narrow it.
	@for tool in gotestsum $(TEST_TOOLS); do hack/tool --path $$tool >/dev/null; done
	@go build -buildvcs=false -o bin/withpostgres ./hack/withpostgres
	KUBEBUILDER_ASSETS=$$(hack/envtest) exec bin/withpostgres -- hack/tool gotestsum --format $(GOTESTSUM_FORMAT) -- $(race) $(ARGS) $(or $(PKG),./...)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s).
	hack/fuzz $(FUZZTIME)

.PHONY: generate
generate: ## Make anew what is generated: queries, the REST contract's types and client, the custom resource's code and manifests.
	hack/tool sqlc generate
	hack/tool controller-gen object paths=./api/v1alpha1
	hack/tool controller-gen crd paths=./api/v1alpha1 output:crd:dir=config/crd/bases
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
