# kdap: two targets do all for a newcomer, `make demo` and `make test`.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
BUILD    = build
# Reference dumps and symbols for conformance tests; the tests that need them
# skip without, CI fails.
export KDAP_SHARED ?= $(abspath ../shared)

# How long each fuzz target runs in `make fuzz` and in `make test`.
FUZZTIME  ?= 30s
SMOKETIME ?= 2s

PLATFORMS = linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64

.PHONY: all build demo test unit race lint cross fuzz smoke bench extension e2e dist clean tools

all: build

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/kdap .

# The main job on the embedded dump.
demo: build
	$(BUILD)/kdap demo

# Everything CI runs, in the order in which failures are cheapest to find.
test: tools lint unit race cross smoke extension e2e

tools:
	./scripts/tools.sh

lint:
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@files=$$($(GO) tool gofumpt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "not formatted: $$files"; exit 1; }
	./scripts/vuln.sh

unit: build
	$(GO) test ./...

# The packages whose values goroutines share; RACE=./... takes all of them.
RACE ?= ./engine/memory ./engine/isf ./engine/rpc ./session ./adapter
race:
	$(GO) test -race -short $(RACE)
	$(GO) test -race -run Beside ./engine/command

cross:
	@for p in $(PLATFORMS); do \
	  echo "build $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null . || exit 1; done

# Fuzz targets, each for some seconds.
smoke:
	./scripts/fuzz.sh $(SMOKETIME)

fuzz:
	./scripts/fuzz.sh $(FUZZTIME)

bench: build
	$(GO) test -run '^$$' -bench . -benchmem ./engine/... ./adapter
	./scripts/speed.sh $(BUILD)/kdap

extension:
	cd vscode-extension && npm ci --no-audit --no-fund && npm run check && npm run package

# A real VS Code opens the demo dump through the extension.
e2e: build extension
	./e2e/run.sh $(abspath $(BUILD)/kdap)

dist: extension
	@for p in $(PLATFORMS); do \
	  os=$${p%/*}; arch=$${p#*/}; ext=; test $$os = windows && ext=.exe; \
	  echo "dist $$p"; GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/kdap-$$os-$$arch$$ext . || exit 1; done
	cp vscode-extension/*.vsix dist/

clean:
	rm -rf $(BUILD) dist
