"""Gene selection: what varies for its mean, in memory and from disk alike, on the rows it is given and no others."""

from __future__ import annotations

from pathlib import Path

import augmentor_data
import numpy as np
import pytest

from augmentor import io
from augmentor.core.dataset import Dataset, Source
from augmentor.core.space import Space
from augmentor.preprocess import genes


@pytest.fixture(scope="module")
def pbmc() -> Dataset:
    return io.read(augmentor_data.path("pbmc3k"), label="celltype")


def test_marker_genes_are_selected(pbmc: Dataset) -> None:
    chosen = {pbmc.schema.features[i] for i in genes.select(pbmc, 500)}
    assert {"LYZ", "S100A8", "NKG7", "GNLY", "CD79A", "MS4A1", "CST3", "PPBP"} <= chosen


def test_positions_are_ascending_and_as_many_as_asked(pbmc: Dataset) -> None:
    chosen = genes.select(pbmc, 100)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 100
    assert genes.select(pbmc, 10**6) == list(range(pbmc.features))


def test_selection_from_disk_is_that_in_memory_up_to_ties(pbmc: Dataset) -> None:
    source = io.open_source(augmentor_data.path("pbmc3k"), label="celltype")
    assert isinstance(source, Source)
    memory, disk = set(genes.select(pbmc, 300)), set(genes.select_streaming(source, 300))
    assert len(memory & disk) >= 299
    assert genes.select_streaming(source, 10**6) == list(range(pbmc.features))


@pytest.mark.parametrize("block", [100, 1000])
def test_blocks_add_up(pbmc: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """The target of log-normalisation is the first block's median; it moves a handful of genes at the border."""
    monkeypatch.setattr(genes, "BLOCK", block)
    source = io.open_source(augmentor_data.path("pbmc3k"), label="celltype")
    assert len(set(genes.select(pbmc, 300)) & set(genes.select_streaming(source, 300))) >= 290


def test_continuous_data_is_ranked_by_variance() -> None:
    x = np.random.Generator(np.random.SFC64(0)).normal(size=(200, 6)) * [1, 5, 2, 9, 3, 0]
    score = genes.variability(x.astype(np.float32), Space.CONTINUOUS)
    assert np.argsort(-score).tolist() == [3, 1, 4, 2, 0, 5]


def test_a_flat_gene_is_never_preferred() -> None:
    x = np.random.Generator(np.random.SFC64(0)).poisson(2, size=(100, 80)).astype(np.float32)
    x[:, 7] = 0
    x[:, :5] *= np.repeat([1, 4], 50)[:, None]
    order = np.argsort(-genes.variability(x, Space.COUNTS))
    assert set(range(5)) <= set(order[:8].tolist())
