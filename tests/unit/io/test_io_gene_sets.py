"""Gene sets are read from GMT files, and everything else is refused in one sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from augmentor import io
from augmentor.core.errors import DataError


def written(folder: Path, text: str | bytes, name: str = "sets.gmt") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as error:
        io.read_gene_sets(path)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and path.name in text
    return text


def test_sets_in_their_order_without_repeats(tmp_path: Path) -> None:
    text = "T CELL\thttps://example.org\tCD3E\tCD3D\tCD3E\n\nB\t\tMS4A1 \t\tCD79A\t\n"
    found = io.read_gene_sets(written(tmp_path, text))
    assert found == {"T CELL": ("CD3E", "CD3D"), "B": ("MS4A1", "CD79A")}
    assert list(found) == ["T CELL", "B"]


def test_line_ends_of_windows_byte_order_mark_and_names_as_text(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffα\tna\tIL1Β\r\nsecond\tna\tIL2".encode())
    assert io.read_gene_sets(str(path)) == {"α": ("IL1Β",), "second": ("IL2",)}


def test_a_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.gmt").startswith("there is no file")
    assert refusal(tmp_path).startswith("there is no file")


@pytest.mark.parametrize("text", ["", "\n  \n\t\n"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    assert refusal(written(tmp_path, text)) == "sets.gmt is empty; a GMT file has one gene set per line."


@pytest.mark.parametrize("line", ["CD3E", "gene,set", "name\tdescription", "name\tdescription\t\t", "\tno name\tCD3E"])
def test_other_formats(tmp_path: Path, line: str) -> None:
    text = refusal(written(tmp_path, f"good\tna\tCD3E\n{line}\n"))
    assert text.startswith("sets.gmt line 2 is not a line of a GMT file")


def test_compressed_and_binary_files(tmp_path: Path) -> None:
    packed = gzip.compress(b"good\tna\tCD3E\n", mtime=0)
    assert "is not a text file" in refusal(written(tmp_path, packed, "sets.gmt.gz"))


def test_two_sets_of_one_name(tmp_path: Path) -> None:
    text = refusal(written(tmp_path, "A\tna\tx\nB\tna\ty\nA\tna\tz\n"))
    assert text == "sets.gmt has two gene sets called 'A' (lines 1 and 3); rename one of them."
