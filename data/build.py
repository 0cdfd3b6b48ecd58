"""Build the bundled data sets from two published Python packages.

Needs the wheels of desc 2.1.1 (PBMC 3k counts) and ISLP 0.6.0 (Khan's tumours) in one folder; they are read, not
installed::

    pip download desc==2.1.1 ISLP==0.6.0 --no-deps -d packages
    python data/build.py --packages packages

The counts come with no labels. Cell types are assigned here, from the counts and published marker genes alone:

1. cells of 200 to 2,500 genes and less than 5 % mitochondrial molecules; genes seen in 3 cells or more;
2. log-normalisation to 10,000 molecules, the 2,000 genes most variable for their mean, z-scores, 15 principal components;
3. k-means with k = 10 ... 20 on the components: eleven partitions, coarse to fine;
4. a cell's score for a type is the mean z-score of the type's markers over the cells of its cluster, averaged over the
   eleven partitions, and its label is the type of the highest score.

Averaging over partitions removes the accident of any one of them; averaging over cells removes dropout. Deterministic.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

HERE = Path(__file__).parent
SHA256 = {
    "desc-2.1.1-py3-none-any.whl": "402094571549d0557273bfe2d9411c2cd041f1e3221d335da2d6c0d7de1fa91d",
    "islp-0.6.0-py3-none-any.whl": "ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
}
SEED = 20_240_229
COMPONENTS = 15
CLUSTERS = range(10, 21)

# Textbook markers, as in reviews and tutorials of blood cells; chosen by biology, not by fit to any annotation.
MARKERS = {
    "Naive CD4 T": ("IL7R", "CCR7", "LEF1", "TCF7"),
    "Memory CD4 T": ("IL7R", "S100A4", "IL32", "CD2"),
    "CD8 T": ("CD8A", "CD8B", "CCL5", "GZMK"),
    "NK": ("GNLY", "NKG7", "GZMB", "PRF1"),
    "B": ("MS4A1", "CD79A", "CD79B"),
    "CD14+ Mono": ("CD14", "LYZ", "S100A8", "S100A9"),
    "FCGR3A+ Mono": ("FCGR3A", "MS4A7", "RHOC"),
    "DC": ("FCER1A", "CST3", "CLEC10A"),
    "Platelet": ("PPBP", "PF4", "GNG11"),
}
# Positions 1-4 of the source, known from the class sizes of the paper's training set (8, 23, 12, 20).
TUMOURS = {1: "BL", 2: "EWS", 3: "NB", 4: "RMS"}

PBMC_PROVENANCE = (
    "10x Genomics PBMC 3k (Zheng et al. 2017, Nat Commun 8:14049). Counts: PyPI package desc 2.1.1 (MIT), file "
    "desc/datasets/pbmc.h5ad. Cells of 200-2,500 genes and < 5 % mitochondrial molecules, genes seen in >= 3 of the "
    "2,700 cells, ordered by the number of cells that show them. Labels: data/build.py of augmentor (k-means consensus "
    "and marker genes), not an expert annotation."
)


def main() -> None:
    """Build both data sets beside this file."""
    parser = argparse.ArgumentParser(description="Build the bundled data sets.")
    parser.add_argument("--packages", type=Path, required=True, help="folder with the two downloaded wheels")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    options = parser.parse_args()
    desc, islp = (wheel(options.packages, name) for name in SHA256)
    cells = pbmc3k(desc)
    write_compact(cells, options.output / "pbmc3k" / "pbmc3k.h5ad")
    write_csv(khan(islp), options.output / "khan" / "khan.csv.gz")
    sys.stdout.write(f"{cells}\n{cells.obs['celltype'].value_counts().to_string()}\n")


def wheel(folder: Path, name: str) -> zipfile.ZipFile:
    """Open a downloaded wheel after comparing its digest with the one recorded here."""
    data = (folder / name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        raise SystemExit(f"{name} has SHA-256 {found}, expected {SHA256[name]}: download that very version.")
    return zipfile.ZipFile(io.BytesIO(data))


def pbmc3k(package: zipfile.ZipFile) -> ad.AnnData:
    """Counts ``(cells, genes)`` with ``obs["celltype"]``."""
    with tempfile.TemporaryDirectory() as folder:
        raw = ad.read_h5ad(package.extract("desc/datasets/pbmc.h5ad", folder))
    counts = sparse.csr_matrix(raw.X).astype(np.int32)
    genes_seen = np.asarray((counts > 0).sum(axis=1)).ravel()
    mitochondrial = raw.var_names.str.startswith("MT-")
    share = row_sums(counts[:, mitochondrial]) / row_sums(counts)
    cells = (genes_seen > 200) & (genes_seen < 2_500) & (share < 0.05)
    cells_seen = np.asarray((counts > 0).sum(axis=0)).ravel()
    # frequent genes first: small column indices lie side by side, which makes the file a sixth smaller
    order = np.argsort(-cells_seen, kind="stable")
    genes = order[cells_seen[order] >= 3]
    counts = counts[cells][:, genes]
    counts.sort_indices()
    labels = annotate(counts, list(raw.var_names[genes]))
    return ad.AnnData(
        counts,
        obs=pd.DataFrame({"celltype": labels}, index=raw.obs_names[cells].to_numpy()),
        var=pd.DataFrame({"gene_ids": raw.var["gene_ids"].to_numpy()[genes]}, index=raw.var_names[genes].to_numpy()),
        uns={"provenance": PBMC_PROVENANCE, "licence": "MIT (package desc); data: 10x Genomics, CC BY 4.0"},
    )


def annotate(counts: sparse.csr_matrix, genes: list[str]) -> pd.Categorical:
    """Cell types ``(cells,)`` by the scores of marker genes in consensus clusters.

    Args:
        counts: ``(cells, genes)``.
        genes: names of the columns.
    """
    log = sparse.diags(1e4 / row_sums(counts)) @ counts.astype(np.float64)
    log = log.log1p().tocsc()
    variable = z_scores(log[:, most_variable(counts, 2_000)].toarray())
    components = PCA(COMPONENTS, svd_solver="full").fit_transform(np.clip(variable, -10, 10))
    position = {gene: column for column, gene in enumerate(genes)}
    markers = np.stack(
        [z_scores(log[:, [position[gene] for gene in names]].toarray()).mean(axis=1) for names in MARKERS.values()],
        axis=1,
    )
    rng = np.random.default_rng(SEED)
    scores = np.zeros_like(markers)
    for k in CLUSTERS:
        cluster = KMeans(k, n_init=10, random_state=int(rng.integers(2**31))).fit_predict(components)
        scores += np.stack([markers[cluster == c].mean(axis=0) for c in range(k)])[cluster]
    return pd.Categorical([list(MARKERS)[best] for best in scores.argmax(axis=1)], categories=list(MARKERS))


def most_variable(counts: sparse.csr_matrix, n: int) -> np.ndarray:
    """Columns whose counts vary most for their mean.

    The variance expected at a mean is a parabola in log-log; counts are standardised by it and clipped at the root of
    the number of cells, so that a single outlying cell does not make a gene variable.
    """
    cells = counts.shape[0]
    columns = counts.astype(np.float64).tocsc()
    mean = np.asarray(columns.mean(axis=0)).ravel()
    variance = np.asarray(columns.power(2).mean(axis=0)).ravel() - mean**2
    some = variance > 0
    trend = np.polyfit(np.log10(mean[some]), np.log10(variance[some]), 2)
    deviation = np.ones_like(mean)
    deviation[some] = np.sqrt(10 ** np.polyval(trend, np.log10(mean[some])))
    column = np.repeat(np.arange(counts.shape[1]), np.diff(columns.indptr))
    clipped = np.minimum((columns.data - mean[column]) / deviation[column], np.sqrt(cells))
    zeros = cells - np.diff(columns.indptr)
    spread = np.bincount(column, clipped**2, minlength=len(mean)) + zeros * (mean / deviation) ** 2
    return np.sort(np.argsort(-spread, kind="stable")[:n])


def z_scores(x: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1."""
    return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-8)


def row_sums(x: sparse.csr_matrix) -> np.ndarray:
    """Row totals ``(rows,)``."""
    return np.asarray(x.sum(axis=1), dtype=np.float64).ravel()


def khan(package: zipfile.ZipFile) -> pd.DataFrame:
    """Tumours in rows: label, then natural-log ratios of 2,308 genes."""
    parts = []
    for part in ("train", "test"):
        x = pd.read_csv(io.BytesIO(package.read(f"ISLP/data/Khan_x{part}.csv")))
        y = pd.read_csv(io.BytesIO(package.read(f"ISLP/data/Khan_y{part}.csv")))["x"]
        x.insert(0, "tumour", y.map(TUMOURS))
        x.index = pd.Index([f"{part}_{row:02d}" for row in range(1, len(x) + 1)], name="sample")
        parts.append(x)
    return pd.concat(parts)


def write_compact(data: ad.AnnData, path: Path) -> None:
    """Write an ordinary h5ad, with the byte shuffle that anndata's own writer does not offer."""
    path.parent.mkdir(exist_ok=True, parents=True)
    packed = {"compression": "gzip", "compression_opts": 9}
    frame = ad.AnnData(obs=data.obs, var=data.var, uns=data.uns)
    with h5py.File(path, "w", libver=("v108", "v110")) as file:
        write_elem(file, "/", frame, dataset_kwargs=packed)
        write_elem(file, "X", data.X, dataset_kwargs={**packed, "shuffle": True, "chunks": (2**18,)})


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a gzipped CSV with four decimals and without a time stamp."""
    path.parent.mkdir(exist_ok=True, parents=True)
    text = table.to_csv(float_format="%.4f", lineterminator="\n")
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
