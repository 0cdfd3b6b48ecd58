# Two commands are all that is needed; each makes .venv on first use and reuses it afterwards.
#
#   make demo    fit, sample and evaluate on bundled real data; says where the report is
#   make test    the whole suite, style and types included
#
# TORCH=cpu asks for the CPU build of PyTorch, and is the default where no NVIDIA GPU is found; TORCH=gpu for the build that
# pip takes by itself. On Linux that default build is for GPUs and weighs several GB. The CPU build is taken from wherever
# pip is configured to look; if it is not there, name the package index of PyTorch's CPU wheels (see PyTorch's own
# installation page): make test TORCH_INDEX=https://...

PYTHON ?= python3
WORKERS ?= 2
TORCH ?= $(if $(shell command -v nvidia-smi),gpu,cpu)
TORCH_INDEX ?=

BIN := .venv/bin
READY := .venv/.ready
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)
PIP_TORCH := $(BIN)/python -m pip install -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help demo test lint format clean

help:
	@sed -n '/^#   make/s/^#   //p' Makefile

demo: $(READY)
	$(BIN)/augment demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv

# PyTorch comes first, and pinned: pip would otherwise take a newer build of several GB to satisfy the other packages.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	$(PIP_TORCH) "torch==$(TORCH_VERSION)+cpu" || $(PIP_TORCH) "torch==$(TORCH_VERSION)"
else
	$(PIP_TORCH) "torch==$(TORCH_VERSION)"
endif
	$(BIN)/python -m pip install -c constraints.txt -e ".[test,reference]"
	touch $(READY)
