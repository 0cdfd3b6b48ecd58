"""How pictures look: one palette, one typeface, and a way to SVG that follows the page's light or dark colours.

Real rows are filled circles and synthetic rows open triangles everywhere, so that shape says what colour says.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from augmentor.evaluation.report import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's palette, tellable apart with any colour vision; grey stands for its black, which a dark page hides.
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F", "#F0E442")

INK, FAINT, PAPER = "#1b2330", "#d5d8dd", "#fffffe"  # replaced by the page's own colours in `inline_svg`
REAL, SYNTHETIC, FLOOR = "#0072B2", "#D55E00", "#7F7F7F"

#: Blue below, orange above, and *transparent* at zero: the middle is the paper, light or dark.
DIVERGING: Final = LinearSegmentedColormap.from_list(
    "blue_orange", [(0.0, "#084a91ff"), (0.499, "#5aa5e300"), (0.501, "#f0963c00"), (1.0, "#a83f00ff")]
)

_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a label may hold dollar signs
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def settings(salt: str = "augmentor") -> Iterator[None]:
    """Draw inside this block: our settings for its duration, the caller's afterwards.

    A glyph that the typeface lacks (a label in another script) is drawn as a box without a warning per label.
    """
    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(columns: int, *, rows: int = 1, width: float = 3.7, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels row by row, sizes in inches per panel; no pyplot, no global figure list."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def colour_of(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour per label; beyond eight labels colours repeat, and labels are written into the picture."""
    return {label: PALETTE[index % len(PALETTE)] for index, label in enumerate(labels)}


def colours_for(labels: Sequence[str], known: Mapping[str, str] | None) -> dict[str, str]:
    """Return a colour per distinct label, the most frequent first; the one that is known, where all are known."""
    names = in_order(labels)
    if known is not None and set(names) <= set(known):
        return {name: known[name] for name in names}
    return colour_of(names)


def in_order(labels: Sequence[str]) -> list[str]:
    """Return the distinct labels, the most frequent first, ties by name."""
    names, counts = np.unique(np.asarray(labels, dtype=object).astype(str), return_counts=True)
    return [str(name) for _, name in sorted(zip(-counts, names, strict=True))]


def shown(label: str, most: int = 28) -> str:
    """Return a label for a picture: one line, not too long, never taken for a legend entry to hide."""
    text = words.label(label)
    text = text if len(text) <= most else text[: most - 1] + "…"
    return f"\u200a{text}" if text.startswith("_") else text


def save(figure: Figure, target: Any, form: str, *, salt: str = "augmentor") -> None:
    """Write a figure on white, the same bytes every time: no date, ids from ``salt``.

    Args:
        figure: what a function of `figures` returned.
        target: path or binary file.
        form: ``png``, ``svg`` or ``pdf``.
        salt: seeds the ids of an SVG, so that several fit into one page.
    """
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None, "ModDate": None}}
    with settings(salt):
        figure.savefig(target, format=form, dpi=200, facecolor="white", metadata=undated.get(form, {}))


def inline_svg(figure: Figure, salt: str, *, title: str, description: str) -> str:
    """Return a figure as an `<svg>` for a page: no outside reference, text as text, colours of the page.

    Args:
        figure: the figure.
        salt: unique on the page.
        title: name of the picture for a screen reader.
        description: what there is to see.
    """
    buffer = io.StringIO()
    with settings(salt):
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", drawing, count=2, flags=re.DOTALL)
    drawing = re.sub(r"<[a-zA-Z][^>]*>", lambda match: _tag(match[0]), drawing)
    opening, _, rest = drawing.partition(">")
    size = re.search(r'viewBox="[^"]*"', opening)
    labelled = f'role="img" aria-labelledby="{salt}-title {salt}-desc"'
    head = f'<svg {size[0] if size else ""} {labelled} style="max-width:{figure.get_figwidth():.1f}in">'
    return (
        f'{head}<title id="{salt}-title">{_escape(title)}</title>'
        f'<desc id="{salt}-desc">{_escape(description)}</desc>{rest}'
    )


def _tag(tag: str) -> str:
    """Return an opening tag without names that would clash on the page, in the page's colours."""
    if tag.startswith("<g id="):
        tag = re.sub(r' id="[^"]*"', "", tag, count=1)
    tag = tag.replace("xlink:href=", "href=")
    for colour, variable in ((INK, "var(--ink)"), (FAINT, "var(--rule)"), (PAPER, "var(--surface)")):
        tag = tag.replace(f": {colour}", f": {variable}")
    return tag


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
