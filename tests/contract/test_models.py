"""The battery that every model passes: a file in ``augmentor/models`` is tested by being there.

Every check is one function, every model x data set its own id: ``pytest tests/contract/test_models.py -k toy`` runs it for
the model ``toy``. A known gap is an entry of `GAPS`, reported as a strict xfail with its reason.
"""

from __future__ import annotations

import copy
import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_data
from model_checks import (
    beats_the_floor,
    check_rows,
    classes,
    drawn_like,
    names,
    resident_bytes,
    same_rows,
    same_state,
    unchanged_globals,
    unfitted,
)
from numpy.testing import assert_array_equal
from small_data import FASTEST, fit_to, settings, small

from augmentor.artifact import load as load_artifact
from augmentor.core.contract import Layout, State, Synthesizer
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.errors import ArtifactError, ConfigError, DataError, LabelError
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted
from augmentor.fitting import configure
from augmentor.sampling import LabelPlan, concatenate, draw, plan, stream

# (model, data, check) -> reason; each is a strict xfail
GAPS: dict[tuple[str, str | None, str], str] = {
    ("gaussian", "log", "learns_zero_fractions"): "a Gaussian has no atom at zero; fit log data with calibrate=True",
}

DATA = ("counts", "log", "continuous", "mixed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every check all models, and all data sets if it asks for one."""
    check = metafunc.function.__name__.removeprefix("test_")
    trained_only = check in ("gradients_reach_every_parameter", "threads_change_nothing_from_fit_to_fit")
    data: tuple[str | None, ...] = DATA if "data" in metafunc.fixturenames else (None,)
    cases = []
    for model, name in itertools.product(MODELS.names(), data):
        if trained_only and not MODELS.get(model).spec.trained:
            continue
        if (name == "mixed" or check.endswith("mixed_table")) and Space.MIXED not in MODELS.get(model).spec.spaces:
            continue
        gap = GAPS.get((model, name, check))
        marks = [pytest.mark.xfail(strict=True, reason=gap)] if gap else []
        values, ids = ((model,), model) if name is None else ((model, name), f"{model}-{name}")
        cases.append(pytest.param(*values, id=ids, marks=marks))
    metafunc.parametrize("model" if data == (None,) else "model, data", cases)


# --- the file and its settings ---------------------------------------------------------------------------------------


def test_describes_itself(model: str) -> None:
    kind = MODELS.get(model)
    layout = Layout(space=kind.spec.spaces[0], features=3, categories=(2,), combinations=((0,), (1,)))
    built = kind.build(layout, kind.Config())
    assert isinstance(built, Synthesizer)
    assert hasattr(built, "stages") == hasattr(built, "initialise") == kind.spec.trained
    assert hasattr(built, "estimate") != kind.spec.trained
    assert MODELS.summary(model), "the first line of the file's docstring is its summary"


def test_settings_are_bounded_and_described(model: str) -> None:
    config = MODELS.get(model).Config
    for name, field in config.model_fields.items():
        assert field.description, f"setting '{name}' has no description"
        if field.annotation in (int, float, int | None, float | None):
            assert field.metadata, f"setting '{name}' has no bounds"


def test_config_round_trips_through_json(model: str) -> None:
    kind = MODELS.get(model).Config
    config = kind(**settings(model, FASTEST))
    assert kind.model_validate_json(config.model_dump_json()) == config


def test_unknown_setting_is_refused_by_name(model: str) -> None:
    with pytest.raises(ConfigError, match=f"'no_such_setting' is not a setting of {model}"):
        configure(MODELS.get(model), model, {"no_such_setting": 1})


# --- construction and randomness -------------------------------------------------------------------------------------


def test_construction_is_free(model: str) -> None:
    kind = MODELS.get(model)
    wide = Layout(
        space=kind.spec.spaces[0],
        features=200_000,
        categories=(20,),
        combinations=tuple((i,) for i in range(20)),
        rows=2000,
    )
    with unchanged_globals():
        before = resident_bytes()
        built = [kind.build(wide, kind.Config()) for _ in range(2)]
        grown = resident_bytes() - before
    assert len(built) == 2
    assert grown < 64 * 2**20, f"two unfitted models of 200,000 features take {grown / 2**20:.0f} MB"


def test_global_random_state_is_untouched(model: str, data: str) -> None:
    with unchanged_globals():
        fit_to(small(data), model).draw(np.zeros(5, dtype=np.intp), Stream(1))


def test_fit_twice_is_fit_once(model: str, data: str) -> None:
    once, twice = (fit_to(small(data), model) for _ in range(2))
    same_state(once.model.state(), twice.model.state())
    same_rows(draw(once, LabelPlan(once.counts), 0), draw(twice, LabelPlan(twice.counts), 0))


def test_threads_change_nothing_from_fit_to_fit(model: str) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        # wide enough for torch to share a batch out: sums that threads add to in turn differ from run to run
        first, *others = (fit_to(small("wide"), model, calibrate=False) for _ in range(3))
    finally:
        torch.set_num_threads(before)
    for other in others:
        same_state(first.model.state(), other.model.state())


def test_gradients_reach_every_parameter(model: str, data: str) -> None:
    import torch

    from augmentor.nn.conditioning import batch

    encoded, kind = small_data.encoded(model, data), MODELS.get(model)
    built = kind.build(encoded.layout, kind.Config(**settings(model, FASTEST)))
    built.initialise(encoded, Stream(0))
    for stage in built.stages():
        stage.module.train()
        noise = Stream(0).child("perturb").torch()
        with torch.no_grad():  # so that an output layer that starts at zero does not hide what stands before it
            for parameter in stage.module.parameters():
                parameter += 0.05 * torch.randn(parameter.shape, generator=noise)
        moved: set[int] = set()
        for phase in stage.phases:
            parameters = list(phase.parameters())
            stage.module.zero_grad()
            sum(phase.loss(batch(encoded), Stream(0).torch(), 1.0).values()).backward()
            names = {id(parameter): name for name, parameter in stage.module.named_parameters()}
            dead = [names[id(p)] for p in parameters if p.grad is None or not bool(p.grad.abs().sum() > 0)]
            assert not dead, f"no gradient in phase '{phase.name}' of stage '{stage.name}': {dead}"
            moved |= {id(p) for p in parameters}
        left = [name for name, p in stage.module.named_parameters() if id(p) not in moved and p.requires_grad]
        assert not left, f"no phase of stage '{stage.name}' moves {left}"
        stage.module.eval()
        if stage.finish is not None:
            stage.finish(encoded, Stream(0))


def test_same_seed_same_rows_other_seed_other_rows(model: str, data: str) -> None:
    fitted = small_data.fitted(model, data)
    wanted = plan(fitted, 60)
    same_rows(draw(fitted, wanted, 3), draw(fitted, wanted, 3))
    ours, others = (as_dense(draw(fitted, wanted, seed).x) for seed in (3, 4))
    assert not np.array_equal(ours, others, equal_nan=True)


def test_rows_of_other_seeds_and_blocks_are_unrelated(model: str, data: str) -> None:
    """Row i says nothing of row i elsewhere: the correlation of their deviations from the label's mean is 0.

    Five standard errors of 300 rows: 1 false alarm in a million, and a shared latent is many more.
    """
    fitted = small_data.fitted(model, data)
    label = fitted.conditions[int(np.argmax(fitted.counts))]
    block = fitted.block_rows
    rows = small_data.logged(draw(fitted, plan(fitted, {label: block + 300}), 3))
    other = small_data.logged(draw(fitted, plan(fitted, {label: 300}), 4))
    centre = rows.mean(axis=0)
    for again in (other, rows[block:]):
        a, b = rows[:300] - centre, again - centre
        related = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
        assert abs(related.mean()) < 5 * related.std() / np.sqrt(300)


def test_another_seed_is_another_fit_or_the_same_rows_kept(model: str, data: str) -> None:
    once, other = (fit_to(small(data), model, seed=seed) for seed in (0, 1))
    if MODELS.get(model).spec.trained:
        a, b = once.model.state(), other.model.state()
        assert any(a[name].shape != b[name].shape or not np.array_equal(a[name], b[name]) for name in a)
    ours, others = (as_dense(draw(f, plan(f, 60), i).x) for i, f in enumerate((once, other)))
    assert not np.array_equal(ours, others, equal_nan=True)


def test_any_chunking_gives_the_same_rows(model: str, data: str) -> None:
    fitted = small_data.fitted(model, data)
    wanted = plan(fitted, fitted.block_rows + 50)
    whole = draw(fitted, wanted, 7)
    for block in (13, 4096):
        same_rows(concatenate(list(stream(fitted, wanted, 7, block=block))), whole)
    start = fitted.block_rows - 3  # single rows across the border of two blocks
    single = list(itertools.islice(stream(fitted, wanted, 7, block=1), start, start + 6))
    assert [len(part) for part in single] == [1] * 6
    same_rows(concatenate(single), whole.take(np.arange(start, start + 6)))


def test_drawing_is_pure(model: str, data: str) -> None:
    encoded, fitted = small_data.encoded(model, data), small_data.fitted(model, data)
    before = copy.deepcopy(fitted.model.state())
    given = copy.deepcopy(encoded.given)
    once = fitted.model.draw(given, Stream(5))
    same_state(before, fitted.model.state())
    assert_array_equal(given.condition, encoded.given.condition)
    assert_array_equal(given.codes, encoded.given.codes)
    if given.size is not None:
        assert_array_equal(given.size, encoded.given.size)
    as_dense(fitted.model.draw(given, Stream(6)))
    assert_array_equal(as_dense(fitted.model.draw(given, Stream(5))), as_dense(once))


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_exact(model: str, data: str) -> None:
    fitted = small_data.fitted(model, data)
    wanted = dict(zip(fitted.conditions, (3, 0, 17, 1, 8), strict=False))
    rows = draw(fitted, plan(fitted, wanted), 0)
    found = dict(zip(*np.unique(names(rows), return_counts=True), strict=True))
    assert found == {label: n for label, n in wanted.items() if n}


def test_a_label_of_two_rows_is_sampled(model: str) -> None:
    fitted = small_data.fitted(model, "counts")
    assert fitted.counts[fitted.conditions.index("Platelet")] == 2
    rows = draw(fitted, plan(fitted, {"Platelet": 40}), 0)
    assert set(rows.labels()) == {"Platelet"}
    check_rows(rows, small("counts"))


def test_unseen_label_is_refused_by_name(model: str, data: str) -> None:
    fitted = small_data.fitted(model, data)
    known = fitted.conditions[0]
    with pytest.raises(LabelError, match="'Erythrocyte' is not a label of this model") as refusal:
        plan(fitted, {"Erythrocyte": 5})
    assert known in str(refusal.value)


def test_rows_obey_their_label(model: str, data: str) -> None:
    """The mean of the rows drawn for a label is nearest to that label's training mean."""
    fitted, real = small_data.bare(model, data), small_data.frequent(small(data))
    centres = small_data.moments(small_data.logged(real), classes(real))["means"]
    for position, label in enumerate(np.unique(names(real))):
        rows = draw(fitted, plan(fitted, {label: 60}), 0)
        distance = ((small_data.logged(rows).mean(axis=0) - centres) ** 2).sum(axis=1)
        assert distance.argmin() == position, f"rows drawn as '{label}' look like another label"


# --- what comes out --------------------------------------------------------------------------------------------------


def test_output_is_in_the_users_space(model: str, data: str) -> None:
    rows = draw(small_data.fitted(model, data), plan(small_data.fitted(model, data), 200), 0)
    check_rows(rows, small(data))


def test_model_draws_float32_rows(model: str, data: str) -> None:
    encoded = small_data.encoded(model, data)
    x = small_data.fitted(model, data).model.draw(encoded.given, Stream(0))
    assert x.shape == (len(encoded), encoded.layout.features)
    assert x.dtype == np.float32
    empty = small_data.fitted(model, data).model.draw(encoded.given.take(slice(0, 0)), Stream(0))
    assert empty.shape == (0, encoded.layout.features)


def test_learns_class_means(model: str, data: str) -> None:
    """After a tiny budget, without calibration, it beats rows with permuted labels."""
    beats_the_floor(small_data.bare(model, data), small(data), "means", 0.6)


def test_learns_class_variances(model: str, data: str) -> None:
    beats_the_floor(small_data.bare(model, data), small(data), "variances", 0.8)


def test_learns_zero_fractions(model: str, data: str) -> None:
    """As a user gets it: continuous models need calibration for the zeros of log data."""
    beats_the_floor(small_data.fitted(model, data), small(data), "zeros", 0.6)


def test_learns_margins_of_a_mixed_table(model: str) -> None:
    """Numbers, categories and missing values each on their own account: learning one does not hide another."""
    real = small_data.frequent(small("mixed"))
    truth = small_data.margins(real, classes(real))
    ours = small_data.margins(*((rows := drawn_like(small_data.bare(model, "mixed"), real)), classes(rows)))
    floor = small_data.margins(real, Stream(0).child("floor").numpy().permutation(classes(real)))
    for kind in ("numbers", "categories"):
        error, worst = (np.abs(found[kind] - truth[kind]).mean() for found in (ours, floor))
        assert error <= 0.6 * worst, f"error of {kind} {error:.4f}, with permuted labels {worst:.4f}"
    # missing at random, so permuted labels are no floor: a share of a tenth in 43 to 107 rows has an sd of about 0.04
    assert np.abs(ours["missing"] - truth["missing"]).mean() < 0.04


def test_within_class_variance(model: str, data: str) -> None:
    fitted, real = small_data.fitted(model, data), small_data.frequent(small(data))
    rows = drawn_like(fitted, real)
    ours, theirs = (small_data.moments(small_data.logged(d), classes(d))["variances"] for d in (rows, real))
    assert 0.5 <= ours.mean() / theirs.mean() <= 2


# --- at rest ---------------------------------------------------------------------------------------------------------


def test_saved_and_loaded_is_the_same(model: str, data: str, tmp_path: Path) -> None:
    fitted = small_data.fitted(model, data)
    fitted.save(tmp_path / "model.augment")
    loaded = Fitted.load(tmp_path / "model.augment")
    same_state(fitted.model.state(), loaded.model.state())
    same_rows(draw(fitted, plan(fitted, 150), 2), draw(loaded, plan(loaded, 150), 2))
    assert loaded.schema == fitted.schema
    assert load_artifact(tmp_path / "model.augment").manifest.model == model


def test_a_state_that_does_not_fit_is_refused(model: str, data: str) -> None:
    fitted = small_data.fitted(model, data)
    state = {name: np.array(array) for name, array in fitted.model.state().items()}

    def refused(wrong: State, *words: str) -> None:
        with pytest.raises(ArtifactError) as refusal:
            unfitted(fitted).restore(wrong)
        assert any(word in str(refusal.value) for word in words), f"none of {words} is in: {refusal.value}"

    refused({**state, "intruder": np.zeros(3)}, "intruder")
    for name, array in state.items():
        own = name.rpartition(".")[2]
        # where a state has two forms (kept rows, dense or sparse), what is missing may be named by the other one
        refused({key: value for key, value in state.items() if key != name}, own, "missing")
        refused({**state, name: array[None]}, own)
    restored = unfitted(fitted)
    restored.restore(state)
    same_state(restored.state(), state)


# --- small and strange data ------------------------------------------------------------------------------------------


def test_one_feature(model: str, data: str) -> None:
    values = as_dense(small(data).x)[:, [0]]
    dataset = small(data).select([0])
    dataset = dataset.take(values[:, 0] != 0) if data == "counts" else dataset
    check_rows(drawn_like(fit_to(dataset, model), dataset), dataset)


def test_one_label(model: str, data: str) -> None:
    dataset = small(data).take(names(small(data)) == names(small(data))[0])
    rows = drawn_like(fit_to(dataset, model), dataset)
    check_rows(rows, dataset)
    assert set(names(rows)) == set(names(dataset))


def test_no_label(model: str, data: str) -> None:
    whole = small(data)
    schema = whole.schema.model_copy(update={"labels": ()})
    dataset = replace(whole, schema=schema, codes=np.zeros((len(whole), 0), dtype=np.int32))
    check_rows(drawn_like(fit_to(dataset, model), dataset), dataset)


def test_all_zero_feature(model: str, data: str) -> None:
    values = as_dense(small(data).x).copy()
    values[:, 1] = 0
    dataset = small_data.changed(small(data), values)
    rows = drawn_like(fit_to(dataset, model), dataset)
    check_rows(rows, dataset)
    assert not as_dense(rows.x)[:, 1].any()


def test_constant_feature(model: str, data: str) -> None:
    values = as_dense(small(data).x).copy()
    values[:, 1] = 2
    dataset = small_data.changed(small(data), values)
    rows = drawn_like(fit_to(dataset, model), dataset)
    check_rows(rows, dataset)
    if data in ("continuous", "mixed"):
        np.testing.assert_allclose(as_dense(rows.x)[:, 1], 2, rtol=1e-5)


def test_duplicate_rows(model: str, data: str) -> None:
    """Every label is one row, many times: nothing varies, no covariance is regular."""
    first = np.unique(names(small(data)), return_index=True)[1]
    dataset = small(data).take(np.repeat(first, 12))
    check_rows(drawn_like(fit_to(dataset, model), dataset), dataset)


def test_fewer_rows_than_a_batch(model: str, data: str) -> None:
    codes = classes(small(data))
    few = np.concatenate([np.flatnonzero(codes == code)[:3] for code in np.unique(codes)[:2]])
    dataset = small(data).take(few)
    check_rows(drawn_like(fit_to(dataset, model), dataset), dataset)


def test_a_label_of_one_row_is_kept_on_request(model: str, data: str) -> None:
    codes = names(small(data))
    label = str(np.unique(codes)[-1])
    dataset = small(data).take(np.append(np.flatnonzero(codes != label), np.flatnonzero(codes == label)[0]))
    with pytest.raises(LabelError, match=re.escape(f"label '{label}' has 1 row")):
        fit_to(dataset, model)
    fitted = fit_to(dataset, model, rare="keep")
    rows = draw(fitted, plan(fitted, {label: 20}), 0)
    check_rows(rows, dataset)
    assert set(names(rows)) == {label}


def test_missing_values_are_refused_or_modelled_as_declared(model: str) -> None:
    whole = small("continuous")
    values = whole.x.copy()
    values[::4, 2] = np.nan
    with pytest.raises(DataError, match="21 NaN in 1 features"):
        Dataset.checked(values, whole.schema, whole.codes)
    schema = whole.schema.model_copy(update={"space": Space.MIXED, "levels": (None,) * whole.features})
    table = Dataset.checked(values, schema, whole.codes)
    if Space.MIXED not in MODELS.get(model).spec.spaces:
        with pytest.raises(ConfigError, match="does not accept mixed tables"):
            fit_to(table, model)
        return
    rows = drawn_like(fit_to(table, model), table)
    missing = np.isnan(rows.x)
    assert not np.delete(missing, 2, axis=1).any()
    assert 0.1 <= missing[:, 2].mean() <= 0.4
