# The verbs of this tree. CI calls the same ones: see .ci/run.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export PATH := $(shell go env GOPATH)/bin:$(PATH)

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 1m
SEEDS    ?= 20
PKG      ?= ./...

# The race detector needs a C compiler with its library; brine itself needs none.
CC_WORKS := $(shell echo 'int main(void){return 0;}' | gcc -x c - -o /dev/null -lpthread >/dev/null 2>&1 && echo yes)
ifeq ($(CC_WORKS),yes)
RACE := CGO_ENABLED=1 go test -race
else
RACE := CGO_ENABLED=0 go test
NOTE := -note "the race detector: needs gcc (Debian packages gcc, libc6-dev)"
endif

.PHONY: build test lint fuzz soak bench demo deps clean help

build: ## Build the three binaries into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/brine ./cmd/brine-master ./cmd/brine-minion

test: ## Test all that this machine can test, and name what was skipped (PKG=./pkg/... for less)
	@go run ./internal/testsummary $(NOTE) -- env $(RACE) -json $(PKG)

lint: ## Check the style of the code and the rules of imports
	@command -v golangci-lint >/dev/null || { echo "golangci-lint is missing: make deps installs it" >&2; exit 1; }
	golangci-lint run --timeout 15m

fuzz: ## Fuzz each target for FUZZTIME (1m)
	@scripts/fuzz.sh $(FUZZTIME)

soak: ## Break the network and kill daemons, SEEDS (20) times over
	BRINE_SEEDS=$(SEEDS) go test -count=1 -timeout 0 -v ./cmd/internal/faults

bench: build ## Measure the bus and the master beside libzmq, in under five minutes (BENCH='--minions 10000' for the large one)
	@command -v gcc >/dev/null && [ -e /usr/include/zmq.h ] || { echo "gcc or libzmq is missing: make deps installs them" >&2; exit 1; }
	gcc -O2 -Wall -Wextra -o bin/peer bench/peer.c -lzmq
	CGO_ENABLED=0 go build -o bin/brine-bench ./cmd/brine-bench
	@bin/brine-bench $(BENCH)

demo: build ## Show a fleet at work, in under two minutes; KEEP=1 leaves it running
	@go run ./demo

deps: ## Install what tests and lint use (Debian)
	@scripts/deps.sh

clean: ## Remove what was built
	rm -rf bin .demo coverage.out

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
