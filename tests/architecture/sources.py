"""Our source files, parsed: what each imports, and where."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
        module: dotted name; ``from a import b`` gives ``a.b`` as well, since b may be a module.
        line: line number.
        top: whether it runs when the file is imported (not inside a function, not under TYPE_CHECKING).
        typing: whether it stands under TYPE_CHECKING.
    """

    module: str
    line: int
    top: bool
    typing: bool


@dataclass(frozen=True)
class Source:
    """A Python file.

    Attributes:
        path: where it is.
        module: dotted name, with ``augmentor_cli`` for ``cli``.
    """

    path: Path
    module: str

    @cached_property
    def text(self) -> str:
        """Its text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> list[Import]:
        """Every import in it."""
        found: list[Import] = []
        self._walk(self.tree, top=True, typing=False, found=found)
        return found

    def _walk(self, node: ast.AST, *, top: bool, typing: bool, found: list[Import]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found += [Import(alias.name, child.lineno, top, typing) for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                base = self._absolute(child)
                found.append(Import(base, child.lineno, top, typing))
                found += [Import(f"{base}.{alias.name}", child.lineno, top, typing) for alias in child.names]
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                for part in child.body:
                    self._walk(ast.Module([part], []), top=False, typing=True, found=found)
                for part in child.orelse:
                    self._walk(ast.Module([part], []), top=top, typing=typing, found=found)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                self._walk(child, top=top and not inside, typing=typing, found=found)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.module.split(".")
        package = parts if self.path.name == "__init__.py" else parts[:-1]
        return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])


def sources(*folders: str) -> list[Source]:
    """Return every Python file below these folders of the repository."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            parts[0] = {"cli": "augmentor_cli", "data": "augmentor_data"}.get(parts[0], parts[0])
            if parts[-1] == "__init__":
                parts.pop()
            found.append(Source(path, ".".join(parts)))
    return found


def calls(source: Source) -> list[tuple[str, int]]:
    """Return the dotted name and the line of every call, as far as it is made of plain names."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            try:
                found.append((ast.unparse(node.func), node.lineno))
            except ValueError:
                continue
    return found
