# `make help` lists what there is. Development tools are pinned in hack/tools and built on first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# The version of the chart, the image and the program is one. A test holds them together.
VERSION ?= $(shell sed -n 's/^appVersion: *//p' charts/watchbill/Chart.yaml)
COMMIT ?= $(shell git describe --always --exclude '*' --dirty 2>/dev/null)
FUZZTIME ?= 10s
# Kubernetes' packages are a third of the program, and none is called often: without inlining they take 2.4 MB less.
GCFLAGS = -gcflags='k8s.io/...=-l' -gcflags='sigs.k8s.io/...=-l'
IMG ?= watchbill/watchbill:$(VERSION)

kubectl = hack/tool kubectl

##@ Use

.PHONY: run
run: build ## Run the whole product on this machine until Ctrl-C. ARGS="--flag …" sets flags of watchbill dev.
	@exec bin/watchbill dev $(ARGS)

.PHONY: build
build: ## Build bin/watchbill, with the web page if Node.js is installed.
	@hack/page build-if-node
	CGO_ENABLED=0 go build -trimpath -buildvcs=false $(GCFLAGS) -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/watchbill ./cmd/watchbill

.PHONY: page
page: ## Build the web page, which the program embeds. Needs Node.js 20.19 or newer.
	hack/page build

.PHONY: image
image: ## Build bin/image.tar, an OCI archive for amd64 and arm64, without a daemon. IMG sets its name.
	@hack/page build-if-node
	go run -C hack/image . -source $(CURDIR) -output $(CURDIR)/bin/image.tar -name $(IMG) -version $(VERSION) -commit "$(COMMIT)"

##@ The cluster of your kubeconfig

.PHONY: install
install: ## Install the custom resource.
	$(kubectl) kustomize config/crd | $(kubectl) apply --server-side -f -

.PHONY: uninstall
uninstall: ## Remove the custom resource, including all MonitoringReports.
	$(kubectl) kustomize config/crd | $(kubectl) delete --ignore-not-found -f -

.PHONY: deploy
deploy: ## Deploy the API and the controller from the image IMG.
	$(kubectl) kustomize config/default | sed 's|: watchbill/watchbill:latest$$|: $(IMG)|' | $(kubectl) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove what deploy created, including MonitoringReports.
	$(kubectl) kustomize config/default | $(kubectl) delete --ignore-not-found -f -

.PHONY: run-controller
run-controller: build ## Run the controller on this machine. ARGS="--server=… --report-namespaces=…"
	bin/watchbill controller --leader-elect=false --image=$(IMG) $(ARGS)

##@ Develop

.PHONY: test
test: ## Run all tests, with a temporary PostgreSQL and real API servers. PKG=./internal/… and ARGS="-run …" select tests.
	@hack/test '$(or $(PKG),./...)' $(ARGS)

.PHONY: page-test
page-test: build ## Test the web page in Chromium against a real server. Screenshots go to web/screenshots.
	hack/page test

.PHONY: page-screenshots
page-screenshots: build ## Take the documentation's pictures of the web page, into docs/images.
	hack/page screenshots

.PHONY: e2e
e2e: ## Run the end-to-end tests on the Kubernetes cluster of KUBECONFIG, or on one that hack/cluster starts as root. ARGS="-run …" selects tests.
	go test -tags e2e -count=1 -v -timeout 60m $(ARGS) ./test/e2e

.PHONY: bench bench-quick
bench: ## Measure the product and the baseline of each figure. ARGS="-run …" selects some.
	go run ./test/bench $(ARGS)

bench-quick: ## Run the benchmarks with small loads, to check that they work.
	go run ./test/bench -quick $(ARGS)

.PHONY: chaos
chaos: ## Inject faults under load for an hour and check the results; some need root. ARGS="-run … -seed …" selects and repeats experiments.
	@go run ./test/chaos $(ARGS)

.PHONY: chaos-quick
chaos-quick: ## Run most of the chaos experiments, with few repetitions, in six minutes.
	@go run ./test/chaos -quick $(ARGS)

.PHONY: conformance
conformance: ## Check the executions recorded for pinned AI libraries against what the libraries did. ARGS="-run …" selects some, ARGS="-record DIR" saves what they send.
	@go run ./test/conformance $(ARGS)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s).
	hack/fuzz $(FUZZTIME)

.PHONY: generate
generate: ## Regenerate code and manifests: queries, the REST contract's types and client, the custom resource's code and manifests.
	hack/tool sqlc generate
	hack/tool controller-gen object paths=./api/v1alpha1
	hack/tool controller-gen crd paths=./api/v1alpha1 output:crd:dir=config/crd/bases
	hack/tool controller-gen rbac:roleName=watchbill-controller paths=./controllers output:rbac:dir=config/rbac
	cp config/crd/bases/*.yaml charts/watchbill/files/crds/
	hack/tool helm-docs --chart-search-root charts --log-level error
	go generate ./...

.PHONY: lint
lint: ## Run the linters and check the formatting.
	hack/tool golangci-lint run
	hack/tool kube-api-linter run -c hack/tools/kube-api-linter/golangci.yml ./api/v1alpha1

.PHONY: fmt
fmt: ## Format the code.
	hack/tool golangci-lint fmt

.PHONY: verify
verify: ## Check that generated files and go.mod are up to date, lint and formatting clean, the tree clean.
	hack/verify

.PHONY: clean
clean: ## Remove what was built, and the database that `make run` keeps.
	rm -rf bin .watchbill web/dist web/node_modules
	find internal/page/dist -mindepth 1 ! -name .gitignore -delete

.PHONY: help
help: ## Show this.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
