# Every target makes its own prerequisites, so `make demo` or `make test` is enough on a fresh Debian 12.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
export PATH := $(PATH):/usr/sbin:/sbin
# The flags are the same for all Go programs, so that each package, including Go's own, is compiled only once.
export GOFLAGS ?= -trimpath
export CGO_ENABLED ?= 0
# The directory in which .ci/run wants jest's results as JSON.
JEST_JSON_DIR ?=
# jest.config.js writes the results here.
jest_results = $(if $(JEST_JSON_DIR),JEST_RESULTS='$(JEST_JSON_DIR)/$(1).json')
shell_scripts = scripts/*.sh packaging/*.sh packaging/*/*.sh packaging/deb/p* packaging/cri-dockerd/deb/p* docker/pause/*.sh docker/installer/*.sh native/*.sh native/*/*.sh test/conformance/*.sh test/conformance/kubelet/*.sh test/conformance/images/*.sh \
  test/guest/*.sh test/integration/support/*/*.sh .ci/run
# The targets demo and run use the Engine whose address is in DOCKER_HOST.
image = dockbridge.test/busybox:1
with_engine = bash scripts/engine.sh with --reuse --name $(1)-$$$$

.PHONY: help setup proto build build-ahead demo run test test-unit test-integration mutation churn conformance conformance-upstream kubelet guest-test bench deb rpm tarball packages lint rules format check docs results clean

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Debian packages (Docker Engine, gcc, busybox …), then npm's
	@bash scripts/setup.sh

proto: setup ## Generate the codecs from proto/runtime/v1/api.proto
	@node scripts/generate-proto.mjs

build: setup ## Compile to dist/, with our pause image and the helper that notifies systemd
	@node scripts/build.mjs
	@bash docker/pause/build.sh dist/pause
	@bash native/notify-helper/build.sh dist/notify-helper
	@echo 'build: dist/ is ready'

build-ahead: setup # builds what the conformance and kubelet suites would otherwise build at their start
	@bash scripts/build-ahead.sh

demo: build ## Run one pod through CRI and remove it; starts an Engine only if none answers
	@$(call with_engine,demo) bash -c 'bash scripts/test-images.sh && \
		exec node dist/main.js demo --image $(image) --docker-endpoint "$$DOCKER_HOST" $(ARGS)'

run: build ## Serve until Ctrl-C; starts an Engine only if none answers
	@$(call with_engine,run) bash -c 'bash scripts/test-images.sh && \
		exec node --enable-source-maps dist/main.js serve --docker-endpoint "$$DOCKER_HOST" $(ARGS)'

test: build ## Run unit and integration tests, the latter on an Engine of their own
	@failed=0; \
	$(MAKE) --no-print-directory -o build test-unit || failed=1; \
	$(MAKE) --no-print-directory -o build test-integration || failed=1; \
	exit $$failed

test-unit: build ## Run the unit tests (no Docker): ARGS=… goes to jest
	@$(call jest_results,unit) node_modules/.bin/jest --selectProjects unit $(ARGS)

# Two simultaneous halves, each serial and with an Engine of its own, because the tests count its calls and kill it.
test-integration: build ## Run the integration tests: ARGS=… goes to jest
	@JEST_JSON_DIR='$(JEST_JSON_DIR)' node scripts/test-integration.mjs $(ARGS)

# ROOM, FILES, SAMPLE, SEED, MUTANTS and TEST_FILES go through the environment: docs/testing.md.
mutation: proto ## Put small faults into src, which unit tests should notice: ROOM=translate, SAMPLE=40, SEED=1, FILES=src/…
	@node tools/mutation/run.mjs

# SEED and LIVES go through the environment.
churn: build ## Start and remove many pods under kills and faults: SEED=N repeats a run, LIVES=N (40), DOCKBRIDGE_TEST_ENGINE=28.5
	@$(call jest_results,churn) node_modules/.bin/jest --selectProjects churn --runInBand $(ARGS)

# HOSTILE=1 and TOTALS go through the environment.
conformance: build ## Run Kubernetes' own clients against dockbridge: ENGINE=20.10|26.1|28.5|29 or ENDPOINT=unix://…
	@ENGINE='$(ENGINE)' ENDPOINT='$(ENDPOINT)' ARGS='$(ARGS)' bash test/conformance/run.sh

# HOSTILE=1, PARALLEL, SEED, RECORD and TOTALS go through the environment.
conformance-upstream: build ## Run cri-tools' critest and a crictl session: ENGINE as above
	@ENGINE='$(ENGINE)' ARGS='$(ARGS)' CRITEST='$(CRITEST)' CRICTL='$(CRICTL)' bash test/conformance/upstream.sh

# KUBELET and TOTALS go through the environment.
kubelet: build ## Run Kubernetes' own kubelet with static pods on dockbridge, without a cluster: ENGINE as above
	@ENGINE='$(ENGINE)' ARGS='$(ARGS)' bash test/conformance/kubelet/run.sh

# SHORT=1, ONLY, GUEST, GUEST_KEEP, GUEST_LIMIT and TOTALS go through the environment.
guest-test: build ## Run the suites that need systemd, cgroup v2 and AppArmor in a Debian under qemu: SHORT=1, ONLY=walk, GUEST=forky
	@SHORT='$(SHORT)' bash test/guest/run.sh

bench: build ## Compare with the bare Engine: logs, ExecSync, CNI … (on an Engine of its own): ARGS=… goes to jest
	@env -u DOCKBRIDGE_TEST_DOCKER_HOST node_modules/.bin/jest --selectProjects bench --runInBand $(ARGS)

# DIST: the directory for the packages.
dist = $(or $(DIST),packages)
version = $$(node -p 'require("./package.json").version')
define look_at_debs
@lintian --allow-root --fail-on error,warning '$(dist)'/dockbridge*_$(version)_*.deb
@bash packaging/try-arm64.sh '$(dist)'/dockbridge_$(version)_arm64.deb
endef

deb: build ## Make the Debian packages for amd64 and arm64 in packages/, and check them with lintian: DIST=…
	@bash scripts/setup.sh deb
	@bash packaging/make.sh '$(dist)' deb
	$(look_at_debs)

rpm: build ## Make the RPMs for both architectures: DIST=…
	@bash scripts/setup.sh deb
	@bash packaging/make.sh '$(dist)' rpm

tarball: build ## Make the tarballs with install.sh for both architectures: DIST=…
	@bash scripts/setup.sh deb
	@bash packaging/make.sh '$(dist)' tarball

packages: build ## Make all packages, bills of materials and SHA256SUMS: DIST=…
	@bash scripts/setup.sh deb
	@bash packaging/make.sh '$(dist)' deb rpm tarball
	$(look_at_debs)

lint: setup ## Check types, ESLint, circular imports, generated pages, formatting (npm run lint), Dockerfiles, Go, shell scripts and units
	@npm run --silent lint
	@node scripts/check-dockerfiles.mjs
	@bash test/conformance/lint.sh
	@for script in $(shell_scripts); do bash -n "$$script" || exit 1; done
	@! command -v systemd-analyze >/dev/null || bash packaging/units.sh
	@! command -v shellcheck >/dev/null || shellcheck --severity=warning $(shell_scripts)
	@! command -v promtool >/dev/null || $(MAKE) --no-print-directory -o setup rules
	@echo 'lint: clean'

rules: ## Check and test the alert rules with promtool; if it is missing, Debian's is unpacked
	@promtool=$$(bash scripts/promtool.sh) && cd packaging/monitoring && "$$promtool" check rules rules.yaml && "$$promtool" test rules rules.test.yaml

format: setup ## Format and fix what can be fixed
	@npm run --silent format

check: lint test ## Run lint and tests, the first part of what CI runs

docs: setup ## Write the pages of docs/ that are made from tables in the code (tools/docs)
	@npm run --silent docs

results: setup ## Make docs/results.md from the results that `RESULTS=DIR .ci/run` has kept: RESULTS=DIR
	@node scripts/results-page.mjs '$(RESULTS)' docs/results.md

clean: ## Remove dist/, packages/, coverage/ and the generated codecs
	@rm -rf dist packages src/proto/gen coverage
