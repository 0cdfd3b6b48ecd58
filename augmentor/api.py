"""The public face: `Augmentor` (fit, sample, balance, save, load), for files and objects alike.

Whatever goes in comes out: an AnnData fits an AnnData, a data frame a data frame, arrays arrays, a file an AnnData.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from augmentor import io, latent
from augmentor.balancing import balanced, in_terms_of, shortfall
from augmentor.between import interpolate
from augmentor.core.dataset import Dataset, Source
from augmentor.core.errors import ConfigError, LabelError, SchemaMismatch
from augmentor.core.progress import Listener, Progress, Stop, never, silent
from augmentor.fitted import Fitted
from augmentor.fitting import fit as fit_model
from augmentor.forms import Kind, array_labels, denoised, embedded, given_back, loaded, scored
from augmentor.preparing import Options, prepare
from augmentor.sampling import LabelPlan, draw, plan, stream

if TYPE_CHECKING:
    import pandas as pd


class Augmentor:
    """A generator of labelled rows: learns p(x | label) from labelled rows and draws new ones.

        aug = Augmentor("cvae", seed=0).fit(adata, label="celltype")
        synthetic = aug.sample(5000)

    Args:
        model: name of a model (``augment models`` lists them), or ``auto``.
        seed: same seed, same data, same machine: the same model and the same rows.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        settings: settings of the model, for example ``latent=32``.
    """

    def __init__(self, model: str = "auto", *, seed: int = 0, device: str = "auto", **settings: Any) -> None:
        self.model, self.seed, self.device, self.settings = model, seed, device, settings
        self._fitted: Fitted | None = None
        self._kind: Kind = "anndata"

    def fit(
        self,
        data: Any,
        *,
        label: str | Sequence[str] | None = None,
        covariate: str | Sequence[str] = (),
        unlabelled: Any = None,
        reference: Any = None,
        group: str | None = None,
        layer: str | None = None,
        use_raw: bool = False,
        transpose: bool = False,
        space: str = "auto",
        categorical: str | Sequence[str] = (),
        numeric: str | Sequence[str] = (),
        ordered: Mapping[str, Sequence[object]] | None = None,
        genes: int | Literal["all"] = "all",
        holdout: float = 0.2,
        min_label_rows: int | None = None,
        rare: Literal["refuse", "keep"] = "refuse",
        calibrate: bool | None = None,
        reject: float | None = None,
        pca: int | None = None,
        max_seconds: float | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        name: str | None = None,
        listener: Listener = silent,
        stop: Stop = never,
    ) -> Augmentor:
        """Learn p(x | label).

        Args:
            data: path, AnnData, data frame (rows are samples), ``(X, y)``, a `Dataset`, or a `Source` from
                `augmentor.io.open_source` (then ``genes`` must be a number: only selected columns are loaded).
            label: label column or columns; None to learn p(x). Rows without a value are learned from with an inferred label.
            covariate: continuous column or columns (age, dose) that rows are conditioned on, beside the label.
            unlabelled: more rows of the same features, without labels, in any form that ``data`` can have.
            reference: many rows of elsewhere (an atlas, another protocol) with the same features, in any form that ``data`` can
                have: adapted to the data, with their own label if they have that column, and learned from beside it.
            group: column whose values stay on one side of every split (patient, donor).
            layer: layer to use instead of X.
            use_raw: use ``raw`` instead of X.
            transpose: genes are in rows (tables).
            space: ``auto``, ``counts``, ``log``, ``continuous`` or ``mixed``.
            categorical: columns of a table that are categories, also where they hold numbers.
            numeric: columns of a table that are numbers, also where they were read as text or categories.
            ordered: columns of a table that are categories, each with all its values, lowest first.
            genes: number of most variable features to model, or ``all``.
            holdout: share of rows set aside for `evaluate`, stratified by label.
            min_label_rows: drop labels with fewer rows.
            rare: what to do with a label of a single row: ``refuse`` or ``keep`` (it can then only be resampled).
            calibrate: map every margin to the training margin after drawing; None for the model's default.
            reject: draw rows again that a classifier takes less for their label than this share of real rows (0.05); None for
                none. Labels become clearer, rows less varied.
            pca: model this many principal components instead of features (continuous data).
            max_seconds: time limit of training.
            checkpoint: folder for checkpoints.
            resume: continue from that folder.
            name: what the artifact calls the data; the file name, or the type of an object, if None.
            listener: told about progress and decisions.
            stop: asked after every batch whether to stop.

        Returns:
            This object, fitted.

        Raises:
            Refused: the data, labels or settings cannot be used; the message says why and what to do.
        """
        dataset, self._kind = loaded(
            data,
            genes,
            label=label,
            covariates=covariate,
            group=group,
            layer=layer,
            use_raw=use_raw,
            transpose=transpose,
            space=space,
            categorical=categorical,
            numeric=numeric,
            ordered=ordered,
        )
        for note in dataset.notes:
            listener(Progress("read", note=note))
        options = Options(
            model=self.model,
            settings=self.settings,
            seed=self.seed,
            device=self.device,
            genes=None if genes == "all" else genes,
            holdout=holdout,
            min_label_rows=min_label_rows,
            rare=rare,
            calibrate=calibrate,
            reject=reject,
            pca=pca,
            max_seconds=max_seconds,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            resume=resume,
            name=name or (Path(data).name if isinstance(data, str | Path) else type(data).__name__),
            group=group,
            partial=isinstance(data, Source),
            listener=listener,
            stop=stop,
        )
        more = None
        if unlabelled is not None:
            reading = {
                "covariates": dataset.schema.covariates,
                "layer": layer,
                "use_raw": use_raw,
                "transpose": transpose,
                "space": str(dataset.schema.space),
                "categorical": categorical,
                "numeric": numeric,
                "ordered": ordered,
            }
            more, _ = loaded(unlabelled, genes, **reading)
        atlas = None
        if reference is not None:
            how = {"layer": layer, "use_raw": use_raw, "transpose": transpose, "space": str(dataset.schema.space)}
            names = [column.name for column in dataset.schema.labels] or None
            atlas = _elsewhere(reference, names, listener, **how, covariates=dataset.schema.covariates)
        prepared = prepare(dataset, options, unlabelled=more, reference=atlas)
        listener(Progress("labels", note=_rows_per_label(prepared.labels, prepared.condition, dataset, holdout)))
        if self.model == "auto":
            from augmentor.selection import choose

            if self.settings:
                raise ConfigError("settings belong to a model; name one (--model cvae) to use them.")
            self._fitted = choose(prepared, options)
        else:
            self._fitted = fit_model(prepared, options)
        return self

    @property
    def fitted(self) -> Fitted:
        """The fitted generator; refused before `fit` or `load`."""
        if self._fitted is None:
            raise ConfigError("this Augmentor is not fitted; call fit() or load() first.")
        return self._fitted

    @property
    def history(self) -> pd.DataFrame:
        """What training did, a row per epoch of every stage (see `training.run.Summary`); empty for a model without training."""
        import pandas as pd

        return pd.DataFrame(self.fitted.history)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that can be asked for (``"B|stim"`` for several label columns)."""
        return self.fitted.conditions

    def plan(self, n: int | Mapping[str, int] | None = None, *, balance: bool = False) -> LabelPlan:
        """Turn a number, numbers per label, or ``balance`` into rows per label; see `sample`."""
        return plan(self.fitted, n, balance=balance)

    def sample(
        self,
        n: int | Mapping[str, int] | None = None,
        *,
        balance: bool = False,
        covariates: Mapping[str, float] | None = None,
        seed: int | None = None,
    ) -> Any:
        """Draw labelled rows, in the user's units.

        Args:
            n: number of rows with the training label frequencies, or exact rows per label (``{"NK": 500}``); None for as
                many as there were training rows. A combination of several labels that training never saw (``{"B|stim": 500}``)
                is composed of those it saw.
            balance: without ``n``: the rows that lift every label to the size of the largest; with ``n``: equal labels.
            covariates: values that all rows have (``{"age": 60}``); others are drawn as they go with the label.
            seed: seed of the draw; the fit's seed if None.

        Returns:
            AnnData, data frame or ``(X, y)``, as was fitted.
        """
        wanted, fitted = self.plan(n, balance=balance), self.fitted.fixed(covariates or {})
        dataset = draw(fitted, wanted, self._seed(seed))
        return given_back(dataset, self._kind, self._provenance(wanted, seed, covariates))

    def stream(
        self,
        n: int | Mapping[str, int],
        *,
        block: int = 4096,
        balance: bool = False,
        covariates: Mapping[str, float] | None = None,
        seed: int | None = None,
    ) -> Iterator[Any]:
        """Draw rows ``block`` at a time: the same rows as `sample`, in memory that does not depend on ``n``."""
        wanted, fitted = self.plan(n, balance=balance), self.fitted.fixed(covariates or {})
        for part in stream(fitted, wanted, self._seed(seed), block=block):
            yield given_back(part, self._kind, self._provenance(wanted, seed, covariates))

    def write(
        self,
        path: str | Path,
        n: int | Mapping[str, int] | None = None,
        *,
        balance: bool = False,
        covariates: Mapping[str, float] | None = None,
        seed: int | None = None,
        block: int | None = None,
        listener: Listener = silent,
    ) -> LabelPlan:
        """Draw rows straight into a file, in memory that does not depend on ``n``; the format follows the name.

        Returns:
            The rows written per label.

        Raises:
            ResourceError: the disk is full; nothing is left behind.
        """
        wanted, fitted = self.plan(n, balance=balance), self.fitted.fixed(covariates or {})
        if wanted.total == 0:
            raise ConfigError("0 rows were asked for; ask for at least 1 (-n, --per-label).")
        seed = self.seed if seed is None else seed
        if fitted.rejection is not None:
            listener(Progress("sample", note=fitted.rejection.notes[0]))
        with io.writer(path, fitted.schema, wanted.total, uns=self._provenance(wanted, seed, covariates)) as out:
            done = 0
            for part in stream(fitted, wanted, seed, block=block):
                out.append(part)
                done += len(part)
                listener(Progress("sample", done, wanted.total, "rows", rows=done))
        return wanted

    def balance(self, data: Any, *, seed: int | None = None, **reading: Any) -> Any:
        """Return ``data`` with synthetic rows appended until every label has as many rows as the largest.

        ``obs["synthetic"]`` (a column of a data frame) says which rows are which. Arguments in ``reading`` are those of
        `fit` that say how to read the data; labels and covariates are those of the model unless they say otherwise.
        """
        dataset, kind = loaded(data, "all", **self._told(reading))
        real = in_terms_of(self.fitted, dataset)
        return given_back(balanced(self.fitted, real, self._seed(seed)), kind, self._provenance())

    def write_balanced(self, path: str | Path, data: Any, *, seed: int | None = None, **reading: Any) -> LabelPlan:
        """Write what `balance` returns to a file; return the synthetic rows per label."""
        dataset, _ = loaded(data, "all", **self._told(reading))
        real = in_terms_of(self.fitted, dataset)
        both, wanted = balanced(self.fitted, real, self._seed(seed)), shortfall(self.fitted, real)
        with io.writer(path, both.schema, len(both), uns=self._provenance(wanted, seed)) as out:
            out.append(both)
        return wanted

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Fit to ``(X, y)`` without holding rows out and return them balanced: the imbalanced-learn interface."""
        self.fit((X, y), label="label", holdout=0.0)
        dataset = balanced(self.fitted, in_terms_of(self.fitted, io.convert((X, y))), self.seed)
        return dataset.x, array_labels(dataset)

    def embed(self, data: Any, *, label: str | Sequence[str] | None = None, **reading: Any) -> Any:
        """Return latent features of rows.

        Args:
            data: rows with the features of the model, in any form that `fit` takes.
            label: label columns, in the order of the model's; those of the model, where the data has them, if None. A row without a
                label that the model knows is taken under its most likely one.
            reading: further arguments of `fit` that say how to read the data.

        Returns:
            For AnnData (and paths) a copy with ``obsm["X_augmentor"]``, a data frame of ``latent_1, ...``, or an array.
        """
        rows = self._rows(data, label, reading)
        return embedded(*rows, latent.embed(self.fitted, rows[0])[0])

    def denoise(self, data: Any, *, label: str | Sequence[str] | None = None, **reading: Any) -> Any:
        """Return rows as the model expects them, in the user's units: the likelihood's mean given their latent features.

        Arguments are those of `embed`. Means have less variance than rows: look at them, but do not train on them.

        Returns:
            For AnnData (and paths) a copy, of the features of the model, with ``layers["denoised"]``; a data frame, or an array.
        """
        rows = self._rows(data, label, reading)
        return denoised(*rows, latent.denoise(self.fitted, rows[0]))

    def score(
        self, data: Any, *, label: str | Sequence[str] | None = None, quantile: float = 0.99, **reading: Any
    ) -> pd.DataFrame:
        """Say how odd rows look to the model; other arguments are those of `embed`.

        Args:
            data: rows.
            label: label columns.
            quantile: share of rows not learned from that should look less odd than an outlier.
            reading: how to read the data.

        Returns:
            A row for each row: the ``label`` it was judged under, whether that was its own (``label_known``), its ``score`` (nats per
            feature beyond what is expected), its ``quantile`` among the rows that `fit` held out, and ``outlier``. Rows that the
            model learned from (``trained``) are placed among the training rows. The last two are absent where no rows were held out.
        """
        rows = self._rows(data, label, reading)
        return scored(*rows, latent.score(self.fitted, rows[0], quantile))

    def interpolate(self, from_: str, to: str, *, steps: int = 9, n: int = 20, seed: int | None = None) -> Any:
        """Draw ``n`` rows at each of ``steps`` places between two labels, ends included (`augmentor/between.py`).

        Returns:
            Rows in the type that was fitted, with ``from``, ``to``, ``step``, ``weight`` and ``path``; of arrays a pair of rows and
            weights.
        """
        drawn = interpolate(self.fitted, from_, to, steps=steps, n=n, seed=self._seed(seed))
        if self._kind == "arrays":
            return drawn.x, drawn.extra["weight"]
        record = self._provenance(None, seed)
        record["augmentor"]["interpolation"] = {"from": from_, "to": to, "steps": steps, "rows": n}
        return given_back(drawn, self._kind, record)

    def save(self, path: str | Path) -> None:
        """Write the artifact, whole or not at all."""
        self.fitted.save(Path(path))

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Augmentor:
        """Read an artifact; nothing in it is executed.

        Raises:
            ArtifactError: the file is missing, damaged, altered or from a newer format.
        """
        fitted = Fitted.load(Path(path))
        augmentor = cls(fitted.name, seed=fitted.record["seed"], device=device)
        augmentor._fitted = fitted
        if fitted.schema.levels is not None:
            augmentor._kind = "frame"
        return augmentor

    def split(self, data: Any, **reading: Any) -> tuple[Dataset, Dataset]:
        """Divide the data a model was fitted on into its training rows and the rows held out from it.

        Raises:
            SchemaMismatch: this is not the data that the model was fitted on.
        """
        dataset, _ = loaded(data, "all", **reading)
        record, tensors = self.fitted.record["data"], self.fitted.tensors
        if len(dataset) != record.rows or record.digest not in ("", dataset.digest()):
            raise SchemaMismatch(
                f"the model was fitted on {record.name} ({record.rows} rows), but the real data ({len(dataset)} rows) differs "
                "from it; give the same file and label, or training and held-out rows separately (--train, --holdout)."
            )
        held, dropped = tensors["holdout"].astype(bool), tensors["dropped"].astype(bool)
        return dataset.take(~held & ~dropped), dataset.take(held)

    def _told(self, reading: dict[str, Any]) -> dict[str, Any]:
        """How to read data that is like the model's, unless ``reading`` says otherwise."""
        schema = self.fitted.schema
        labels = [column.name for column in schema.labels] or None
        return {"label": labels, "space": str(schema.space), "covariates": schema.covariates} | reading

    def _rows(self, data: Any, label: Any, reading: dict[str, Any]) -> tuple[Dataset, Kind, Any]:
        """Read rows in the model's space with its covariates, and its label columns where they are there."""
        told = self._told(reading) | ({} if label is None else {"label": label})
        try:
            return *loaded(data, "all", **told), data
        except LabelError:
            if label is not None:
                raise
            return *loaded(data, "all", **told | {"label": None}), data

    def _seed(self, seed: int | None) -> int:
        return self.seed if seed is None else seed

    def _provenance(
        self,
        wanted: LabelPlan | None = None,
        seed: int | None = None,
        covariates: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """What ``uns["augmentor"]`` of synthetic rows says about where they are from."""
        fitted = self.fitted
        record: dict[str, Any] = {
            "version": fitted.record["augmentor"],
            "model": fitted.name,
            "model_seed": fitted.record["seed"],
            "seed": self._seed(seed),
            "trained_on": fitted.record["data"].name,
            "keeps_rows": fitted.model.spec.keeps_rows,
            "note": "synthetic rows drawn from a model; not observations",
        }
        if wanted is not None:
            # also the labels of which no row was asked for
            record["plan"] = dict.fromkeys(fitted.conditions, 0) | wanted.rows(fitted)
        if covariates:
            record["covariates"] = dict(covariates)
        if fitted.rejection is not None:
            record["rejection"] = {
                name: fitted.rejection.record[name] for name in ("share", "accepted", "accepted_per_label")
            }
        return {"augmentor": record}


def load(path: str | Path) -> Augmentor:
    """Read an artifact; short for `Augmentor.load`."""
    return Augmentor.load(path)


def _elsewhere(data: Any, label: str | Sequence[str] | None, listener: Listener, **reading: Any) -> Dataset:
    """Read a reference with the label of the data, or without one where it has no such column."""
    try:
        return loaded(data, "all", label=label, **reading)[0]
    except LabelError as error:
        listener(
            Progress("reference", note=f"labels of the reference are inferred, as it has none of its own: {error}")
        )
        return loaded(data, "all", **reading)[0]


def _rows_per_label(labels: list[str], condition: Any, dataset: Dataset, holdout: float) -> str:
    counts = np.bincount(condition, minlength=len(labels))
    rows = ", ".join(
        f"{name} {n}" for name, n in sorted(zip(labels, counts, strict=True), key=lambda item: -item[1])[:12]
    )
    more = f" and {len(labels) - 12} more labels" if len(labels) > 12 else ""
    return (
        f"{len(dataset)} rows x {dataset.features} features ({dataset.schema.space}); {len(condition)} rows to learn from, "
        f"{holdout:.0%} held out for evaluation: {rows}{more}"
    )
