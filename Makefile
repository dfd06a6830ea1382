# make help lists what there is.
SHELL := /bin/bash
GO ?= go
BIN := $(CURDIR)/bin
MODULES := . benchmarks deploy
DEMO_DATA := .demo
# promtool comes with Prometheus. Building it takes a minute or two, so an installed one is used where there is one.
PROMTOOL := $(or $(shell command -v promtool),$(BIN)/promtool)

.DEFAULT_GOAL := help
.PHONY: help run build test test-hostile test-crash test-release test-systemd release image check proto bench bench-quick clean tools

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 15

run: build ## build, serve the demo market on 127.0.0.1:7600 with people who search and click, and show a search
	$(BIN)/hexbid serve --demo --demo-traffic --reserve 5 --data $(DEMO_DATA)

build: ## build bin/hexbid
	$(GO) build -o $(BIN)/hexbid ./cmd/hexbid

test: ## run the tests, the concurrent packages under the race detector too
	$(GO) test -timeout 30m ./...
	cd benchmarks && $(GO) test -timeout 30m ./...
	cd deploy && $(GO) test -timeout 30m ./...
	$(GO) test -timeout 30m -race -short ./bidder ./exchange ./store/... ./ledger ./ledger/journal ./ledger/fold \
		./ledger/receipt ./folder ./shelf ./spans ./token ./simulator/load ./cmd/hexbid

HOSTILE_SECONDS ?= 180
test-hostile: build ## attack the real program over gRPC and HTTP for some HOSTILE_SECONDS (180), and as long again where it demands credentials; count what fell
	$(GO) build -o $(BIN)/hostile ./hostile
	$(BIN)/hostile --binary $(BIN)/hexbid --seconds $(HOSTILE_SECONDS)
	$(BIN)/hostile --binary $(BIN)/hexbid --seconds $(HOSTILE_SECONDS) --credentials

RUNS ?= 1000
test-crash: build ## kill the real program RUNS (1000) times under events, edits and searches and compare its ledger with what clients were told; its last line is the counts
	$(GO) build -o $(BIN)/crash ./hostile/crash
	$(BIN)/crash --binary $(BIN)/hexbid --kills $(RUNS) --commit $$(git describe --always --dirty)

check: tools ## format, vet, staticcheck, generated code in sync, arrows between packages
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'gofmt -w these files'; exit 1; }
	@for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(GO) build ./... && $(BIN)/staticcheck ./...) || exit 1; done
	$(BIN)/buf lint
	$(BIN)/buf breaking --against proto/baseline.binpb
	@fresh=$$(mktemp -d) && $(BIN)/buf generate -o $$fresh && $(GO) run ./server/gateway/openapi $$fresh/server/gateway && \
		{ diff -r -x '*.proto' -x '*.binpb' -x '*.yaml' $$fresh/proto proto && \
		diff -r $$fresh/server/gateway/routes server/gateway/routes && \
		diff $$fresh/server/gateway/openapi.json server/gateway/openapi.json || \
		{ echo 'generated code is stale: make proto'; exit 1; }; } && rm -rf $$fresh
	$(GO) test -run 'TestPackagesImport|TestBreaking' -count=1 .
	$(PROMTOOL) check rules deploy/prometheus/hexbid.rules.yml
	$(PROMTOOL) test rules deploy/prometheus/hexbid.rules.test.yml

proto: tools ## generate code, routes and the OpenAPI document from proto/
	$(BIN)/buf lint
	$(BIN)/buf generate
	$(GO) run ./server/gateway/openapi server/gateway

bench: ## measure all, peers included; writes benchmarks/results and benchmarks/RESULTS.md
	cd benchmarks && $(GO) run ./cmd/bench --all

bench-quick: ## measure in some twelve minutes; writes benchmarks/results/quick.json and benchmarks/RESULTS.md
	cd benchmarks && $(GO) run ./cmd/bench

RELEASE := $(BIN)/release
release: $(BIN)/cyclonedx-gomod ## build the release archives, with SBOM, licences and check sums, in bin/release; VERSION names it
	rm -rf $(RELEASE)
	deploy/release.sh $(RELEASE)

test-release: $(BIN)/cyclonedx-gomod ## build the release twice, from two folders and two caches, and compare the bytes; takes minutes
	deploy/release_test.sh

ARCHIVE ?= $(wildcard $(RELEASE)/hexbid-*-linux-$(shell $(GO) env GOARCH).tar.gz)
test-systemd: ## try the unit of the release under a real systemd, in namespaces of its own; needs root and mmdebstrap; ARCHIVE names another release
	deploy/systemd/trial.sh $(ARCHIVE)

image: ## build the container image with buildah, docker or podman
	deploy/container/build.sh

clean: ## remove what the other targets made
	rm -rf $(BIN) $(DEMO_DATA) examples/node/node_modules examples/python/__pycache__

tools: $(BIN)/buf $(BIN)/staticcheck $(BIN)/protoc-gen-openapiv2 $(PROMTOOL)

$(BIN)/buf: tools/buf/go.mod
	cd tools/buf && $(GO) build -o $@ github.com/bufbuild/buf/cmd/buf

$(BIN)/staticcheck $(BIN)/protoc-gen-openapiv2 &: tools/go.mod
	cd tools && $(GO) build -o $(BIN)/ honnef.co/go/tools/cmd/staticcheck google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc \
		github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2

$(BIN)/cyclonedx-gomod: tools/cyclonedx/go.mod
	cd tools/cyclonedx && $(GO) build -o $@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

# The tag leaves the discovery of services in clouds out, which rules do not need.
$(BIN)/promtool: tools/promtool/go.mod
	cd tools/promtool && $(GO) build -tags remove_all_sd -o $@ github.com/prometheus/prometheus/cmd/promtool
