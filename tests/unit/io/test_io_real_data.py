"""The developers' real files read as their README describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from augmentor import io
from augmentor.core.dataset import missing_labels
from augmentor.core.errors import LabelError
from augmentor.core.space import Space

pytestmark = pytest.mark.shared

FILES: list[tuple[str, dict[str, Any], tuple[int, int], Space, bool, int]] = [
    ("pbmc3k.h5ad", {"label": "celltype"}, (2638, 13714), Space.COUNTS, True, 9),
    ("golub_leukemia.h5ad", {"label": "subtype"}, (72, 7129), Space.CONTINUOUS, False, 2),
    ("khan_srbct.csv", {"label": "tumour"}, (83, 2308), Space.CONTINUOUS, False, 4),
    ("nci60.h5ad", {"label": "tissue"}, (64, 6830), Space.CONTINUOUS, False, 14),
    ("tcga_brca_multiomics.h5ad", {"label": "subtype"}, (150, 526), Space.CONTINUOUS, False, 3),
    ("cervical_mirna.h5ad", {"label": "condition", "group": "patient"}, (58, 714), Space.COUNTS, False, 2),
    ("heart_disease.csv", {"label": "heart_disease"}, (303, 13), Space.MIXED, False, 2),
]


@pytest.mark.parametrize("name, options, shape, space, is_sparse, classes", FILES, ids=[f[0] for f in FILES])
def test_real_file_is_what_its_readme_says(
    shared_data: Path,
    name: str,
    options: dict[str, Any],
    shape: tuple[int, int],
    space: Space,
    is_sparse: bool,
    classes: int,
) -> None:
    data = io.read(shared_data / name, **options)
    assert data.x.shape == shape
    assert data.x.dtype == np.float32
    assert data.schema.space is space
    assert sparse.issparse(data.x) is data.schema.sparse is is_sparse
    assert len(data.schema.labels[0].categories) == classes
    assert (data.codes >= 0).all()
    assert name in data.notes[0] and str(space) in data.notes[0]


def test_golub_is_whole_numbers_but_not_counts(shared_data: Path) -> None:
    data = io.read(shared_data / "golub_leukemia.h5ad", label="subtype")
    assert data.schema.integer
    assert data.schema.space is Space.CONTINUOUS
    assert "not counts" in data.notes[0]
    assert list(data.extra) == ["split"]


def test_khan_csv_is_khan_h5ad_to_four_decimals(shared_data: Path) -> None:
    table = io.read(shared_data / "khan_srbct.csv", label="tumour")
    stored = io.read(shared_data / "khan_srbct.h5ad", label="tumour")
    assert table.schema.features == stored.schema.features
    assert list(table.names) == list(stored.names)
    assert list(table.labels()) == list(stored.labels())
    np.testing.assert_allclose(table.x, stored.x, atol=5.1e-5)


def test_tenx_folder_is_pbmc3k_on_the_common_genes_and_cells(shared_data: Path) -> None:
    folder = io.read(shared_data / "pbmc3k_10x", label="celltype")
    stored = io.read(shared_data / "pbmc3k.h5ad", label="celltype")
    assert folder.x.shape == (2700, 32738)
    assert (folder.codes < 0).sum() == 62
    with pytest.raises(LabelError, match="'celltype' is missing in 62 of 2700 rows"):
        missing_labels(folder)
    rows = {name: i for i, name in enumerate(folder.names)}
    ids = {name: i for i, name in enumerate(folder.schema.var["gene_ids"].values)}
    cut = folder.take(np.array([rows[name] for name in stored.names])).select(
        [ids[name] for name in stored.schema.var["gene_ids"].values]
    )
    assert (cut.x != stored.x).nnz == 0
    assert list(cut.labels()) == list(stored.labels())
    named = {name: i for i, name in enumerate(folder.schema.features)}
    same = [name for name in stored.schema.features if name in named]
    assert len(same) > 13_000


def test_heart_disease_is_a_mixed_table_with_gaps(shared_data: Path) -> None:
    data = io.read(shared_data / "heart_disease.csv", label="heart_disease")
    levels = dict(zip(data.schema.features, data.schema.levels or (), strict=True))
    assert levels["gender"] == ("female", "male")
    assert levels["age"] is None
    assert int(np.isnan(data.x).sum()) == 6
    assert data.schema.labels[0].kind == "int"
    frame = io.to_frame(data)
    assert frame["gender"].iloc[0] == "male"
    assert frame["age"].iloc[0] == 63
    assert "5 of 13 columns hold categories" in data.notes[0]


def test_tcga_keeps_the_categories_of_var(shared_data: Path) -> None:
    data = io.read(shared_data / "tcga_brca_multiomics.h5ad", label="subtype")
    assert set(data.schema.var["modality"].categories or ()) == {"mrna", "mirna", "protein"}


@pytest.mark.parametrize("name, label", [("pbmc3k.h5ad", "celltype"), ("golub_leukemia.h5ad", "subtype")])
def test_source_gives_the_same_rows_as_reading(shared_data: Path, name: str, label: str) -> None:
    whole = io.read(shared_data / name, label=label)
    with io.open_source(shared_data / name, label=label) as source:  # type: ignore[attr-defined]
        assert source.schema == whole.schema
        assert source.rows == len(whole)
        assert source.load().digest() == whole.digest()
        picked = source.load([7, 3, 500])
    assert picked.digest() == whole.select([7, 3, 500]).digest()


def test_real_counts_survive_the_way_through_a_file(shared_data: Path, tmp_path: Path) -> None:
    data = io.read(shared_data / "pbmc3k.h5ad", label="celltype")
    with io.writer(tmp_path / "out.h5ad", data.schema, len(data)) as out:
        for start in range(0, len(data), 1000):
            out.append(data.take(np.arange(start, min(start + 1000, len(data)))))
    again = io.read(tmp_path / "out.h5ad", label="celltype")
    assert again.schema == data.schema
    assert (again.x != data.x).nnz == 0
    assert (again.codes == data.codes).all()


def test_mixed_table_survives_the_way_through_every_table_format(shared_data: Path, tmp_path: Path) -> None:
    data = io.read(shared_data / "heart_disease.csv", label="heart_disease")
    for name in ("out.csv", "out.tsv", "out.csv.gz", "out.parquet"):
        with io.writer(tmp_path / name, data.schema, len(data)) as out:
            for start in range(0, len(data), 100):
                out.append(data.take(np.arange(start, min(start + 100, len(data)))))
        again = io.read(tmp_path / name, label="heart_disease")
        assert again.schema == data.schema, name
        assert np.array_equal(again.x, data.x, equal_nan=True), name
