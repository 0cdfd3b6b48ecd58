"""Gene sets in GMT files, the format of MSigDB: one set per line, its name, a description, its genes, separated by tabs."""

from __future__ import annotations

from pathlib import Path

from augmentor.core.errors import DataError


def read_gene_sets(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read the gene sets of a GMT file, in its order; genes that a line repeats are kept once.

    Args:
        path: a text file, lines of ``name TAB description TAB gene TAB gene ...``; empty lines are skipped.

    Returns:
        Names of genes by set.

    Raises:
        DataError: there is no such file, it is not in GMT format, it holds no set, or two sets have one name.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {path}; gene sets are read from a GMT file.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not a text file; gene sets are read from a GMT file, uncompressed.") from None
    out: dict[str, tuple[str, ...]] = {}
    where: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *fields = (field.strip() for field in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in fields[1:] if gene))
        if not name or not genes:
            raise DataError(
                f"{path.name} line {number} is not a line of a GMT file (set name, description and genes, separated by "
                f"tabs): it has {len(fields) + 1} fields and {len(genes)} genes."
            )
        if name in out:
            raise DataError(
                f"{path.name} has two gene sets called '{name}' (lines {where[name]} and {number}); rename one of them."
            )
        out[name], where[name] = genes, number
    if not out:
        raise DataError(f"{path.name} is empty; a GMT file has one gene set per line.")
    return out
