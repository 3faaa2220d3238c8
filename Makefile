# Two commands matter: make run starts Tallyman on an example tree, make test tries it all. Both set up what they need.
# Each step is a script with a name; DRY=1 lists what make test would do, ARGS goes to the program or the benchmark.

run: ## build and serve ./share
	@script/run $(ARGS)

test: ## install what the tests need, and run them all
	@DRY=$(DRY) script/test

bench: ## measure beside the peers, and fuzz for a minute each
	@DRY=$(DRY) script/bench $(ARGS)

build: ## bin/tallyman, the page included
	@script/build

ui: ## the page alone
	@script/ui

fuzz: ## a minute for each fuzz target
	@DRY=$(DRY) script/fuzz 60s

lint: ## golangci-lint, gofumpt, staticcheck, deadcode
	@script/lint

fmt: ## format what is Go
	@go tool -modfile=tools/go.mod gofumpt -w $$(script/sources)

clean: ## remove what was built or fetched; ./share and ./state stay
	@rm -rf bin .cache web/ui/node_modules web/ui/dist/index.html web/ui/dist/assets

help: ## this list
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' Makefile

.PHONY: run test bench build ui fuzz lint fmt clean help
