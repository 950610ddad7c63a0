# Everything from a bare clone: `make demo` shows the product, `make test` tests it. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Without cached bytecode every process that is started compiles torch and scipy anew, which takes it seconds.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools/bin
EXTRAS ?= dev
BUF_VERSION := v1.75.0
KERNEL := CMakeLists.txt $(shell find csrc -name '*.h' -o -name '*.cpp' 2>/dev/null)

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: $(VENV)/.installed ## Create .venv, install everything, build the C++ kernel

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# The kernel is built by the install; --no-build-isolation keeps its build folder valid between calls.
$(VENV)/.installed: $(BIN)/uv pyproject.toml setup.py $(KERNEL)
	@echo "· installing Python packages and building the kernel (the first time takes a minute or two)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python "setuptools>=77" "pybind11>=3.0" "cmake>=3.24"
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation -e ".[$(EXTRAS)]"
	@touch $@

.PHONY: demo
demo: setup ## Import, train, serve, recommend, learn from an event; DATA=DIR runs it on MovieLens
	$(BIN)/python -m demo $(if $(DATA),--data $(DATA))

.PHONY: test
test: setup ## Run the tests (those that need PostgreSQL, shared data or a tool skip with the reason)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: check
check: setup $(TOOLS)/buf ## Lint, types, formats, import rule, protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files 'csrc/*.h' 'csrc/*.cpp')
	$(TOOLS)/buf lint
	tools/check_breaking.sh $(TOOLS)/buf
	$(BIN)/python tools/generate_stubs.py --check

.PHONY: format
format: setup ## Rewrite Python and C++ in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(git ls-files 'csrc/*.h' 'csrc/*.cpp')

.PHONY: proto
proto: setup ## Generate aigc/v1 and aigc/oip from proto/
	$(BIN)/python tools/generate_stubs.py

.PHONY: test-cpp
test-cpp: setup ## C++ tests under ASAN+UBSAN and under TSAN (needs GoogleTest)
	for sanitizer in address,undefined thread; do \
	  build=build/$${sanitizer%%,*}; \
	  PATH="$(abspath $(BIN)):$$PATH" cmake -S . -B $$build -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAIGC_BUILD_TESTS=ON \
	    -DAIGC_SANITIZE=$$sanitizer >/dev/null; \
	  PATH="$(abspath $(BIN)):$$PATH" cmake --build $$build --target aigc_tests -j 2 -- --no-print-directory -s; \
	  $$build/aigc_tests --gtest_brief=1; \
	done

.PHONY: test-ingress
test-ingress: setup ## The ingress's tests on an ASAN+UBSAN build of it (needs libgrpc++-dev)
	PATH="$(abspath $(BIN)):$$PATH" cmake -S . -B build/ingress-address -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DAIGC_SANITIZE=address,undefined -DPython_EXECUTABLE=$(abspath $(BIN))/python \
	  -DAIGC_INGRESS_OUTPUT=$(abspath build/ingress-address)/_ingress.so >/dev/null
	PATH="$(abspath $(BIN)):$$PATH" cmake --build build/ingress-address --target _ingress -j 2 -- --no-print-directory -s
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	  $(BIN)/python tools/sanitized_ingress.py build/ingress-address/_ingress.so -q -p no:cacheprovider tests/server/test_ingress.py tests/server/test_kept_answers.py

.PHONY: bench
bench: EXTRAS := dev,bench
bench: ## Run the benchmarks; each prints a ratio against a named peer
	@rm -f $(VENV)/.installed; $(MAKE) --no-print-directory setup EXTRAS=$(EXTRAS)
	for name in exact_search mmr engine_recommend item_item_build scale import_events \
    near_duplicates categories denoise bots cold_items search_in_chinese profile_topics profiles_read_true modality_weights; do \
	  echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py; done

.PHONY: load
load: setup $(TOOLS)/ghz ## Load every RPC with ghz on a small world of its own, and judge (benchmarks/ghz)
	$(BIN)/python benchmarks/ghz/run.py $(LOAD_ARGS)

.PHONY: soak
soak: setup ## Ten minutes of everything at once: load, swaps, hostile clients; watches memory, errors, p99 (SOAK_ARGS)
	$(BIN)/python benchmarks/soak.py $(SOAK_ARGS)

.PHONY: compare
compare: setup compare-peers ## The same question to other servers, side by side (benchmarks/compare; needs Go, Cargo, libgrpc++-dev, libnghttp2-dev)
	$(BIN)/python benchmarks/compare/run.py --prepare-only
	$(BIN)/python benchmarks/compare/run.py $(COMPARE_ARGS)

.PHONY: compare-peers
compare-peers: .tools/mlserver/.installed .tools/ray/.installed .tools/implicit/.installed $(TOOLS)/oha $(TOOLS)/cached_lists ## Fetch and build what make compare compares with

# Each peer lives by itself, as it does with its users: their protobufs and FastAPIs differ.
.tools/mlserver/.installed: $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python mlserver==1.7.1 "numpy>=2.0" "scipy>=1.13"
	@touch $@

.tools/ray/.installed: $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python "ray[serve]==2.60.0" "grpcio-tools>=1.85.1" "numpy>=2.0" "scipy>=1.13"
	@touch $@

.tools/implicit/.installed: $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python implicit==0.7.3 fastapi==0.165.0 "uvicorn[standard]==0.54.0"
	@touch $@

$(TOOLS)/oha:
	cargo install --quiet oha --version 1.16.0 --locked --root .tools

$(TOOLS)/cached_lists: benchmarks/compare/cached_lists/main.go benchmarks/compare/cached_lists/go.mod
	cd benchmarks/compare/cached_lists && go build -o $(abspath $@) .

$(TOOLS)/buf:
	@command -v go >/dev/null || { echo "make check needs Go to build buf: install it, or put buf into $(TOOLS)/"; exit 1; }
	GOBIN=$(abspath $(TOOLS)) go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)

$(TOOLS)/ghz:
	GOBIN=$(abspath $(TOOLS)) go install github.com/bojand/ghz/cmd/ghz@v0.121.0

$(TOOLS)/grpc-health-probe:
	GOBIN=$(abspath $(TOOLS)) go install github.com/grpc-ecosystem/grpc-health-probe@v0.4.61

# Its protobuf is older than ours, so NVIDIA's client lives by itself, as it does with its users.
.tools/triton/bin/python: $(BIN)/uv
	$(BIN)/uv venv --quiet --python $(BIN)/python .tools/triton
	$(BIN)/uv pip install --quiet --python $@ "tritonclient[grpc]>=2.50"

$(TOOLS)/grpcurl:
	GOBIN=$(abspath $(TOOLS)) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4

.PHONY: tools
tools: $(TOOLS)/buf $(TOOLS)/grpcurl $(TOOLS)/ghz $(TOOLS)/grpc-health-probe .tools/triton/bin/python ## Fetch and build other projects' tools: buf, grpcurl, ghz, grpc-health-probe, tritonclient

.PHONY: clean
clean: ## Remove what was built; data directories stay
	rm -rf build dist .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output *.egg-info aigc/_kernel*.so
