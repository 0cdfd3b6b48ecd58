"""Vector quantisation: nearest codes, straight-through gradients, codebooks that follow the rows, restarts of dead codes."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from augmentor.core.random import Stream
from augmentor.nn.blocks import materialise
from augmentor.nn.codebook import Codebook


def noise(*names: str | int) -> torch.Generator:
    return Stream(0).child(*names).torch()


def book(positions: int, codes: int, dimensions: int, decay: float = 0.9) -> Codebook:
    with torch.device("meta"):
        built = Codebook(positions, codes, dimensions, decay)
    materialise(built, Stream(0))
    return built


@pytest.fixture
def line() -> Codebook:
    """Two positions of one dimension: codes at 0, 10 and at −1, 1."""
    made = book(2, 2, 1).eval()
    made.vectors.copy_(torch.tensor([[[0.0], [10.0]], [[-1.0], [1.0]]]))
    return made


def test_every_position_takes_the_nearest_vector_of_its_own_codebook(line: Codebook) -> None:
    z = torch.tensor([[4.0, 0.5], [6.0, -3.0]])
    assert line.nearest(z).tolist() == [[0, 1], [1, 0]]
    assert line.look_up(line.nearest(z)).tolist() == [[0, 1], [10, -1]]


def test_forward_is_the_code_and_backward_the_identity(line: Codebook) -> None:
    z = torch.tensor([[4.0, 0.5]], requires_grad=True)
    q, commitment = line(z, noise())
    assert_close(q, torch.tensor([[0.0, 1.0]]))
    assert_close(commitment, torch.tensor([16.25]))
    (q * torch.tensor([[3.0, -2.0]])).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [[3, -2]]


def test_commitment_draws_the_latent_to_its_code_and_moves_no_code(line: Codebook) -> None:
    z = torch.tensor([[4.0, 0.5]], requires_grad=True)
    line(z, noise())[1].sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [[8, -1]]
    assert not list(line.parameters())


def test_outside_training_nothing_changes(line: Codebook) -> None:
    before = {name: tensor.clone() for name, tensor in line.state_dict().items()}
    line(torch.randn(50, 2, generator=noise()), noise())
    for name, tensor in line.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_first_step_fills_the_codebook_with_rows_of_the_batch() -> None:
    made = book(3, 8, 2).train()
    z = torch.randn(64, 6, generator=noise("z"))
    made._restart(z, noise("restart"))
    for position in range(3):
        rows = {tuple(row) for row in z.view(64, 3, 2)[:, position].tolist()}
        assert {tuple(code) for code in made.vectors[position].tolist()} <= rows


def test_codes_follow_the_mean_of_their_rows_by_the_moving_average() -> None:
    made = book(1, 2, 1, decay=0.75).train()
    made.vectors.copy_(torch.tensor([[[0.0], [10.0]]]))
    made.count.fill_(2.0)
    made(torch.tensor([[1.0], [1.0], [1.0], [12.0]]), noise())
    # N: 0.75·2 + 0.25·3 and 0.75·2 + 0.25·1; S: 0.25·3·1 and 0.75·20 + 0.25·12
    assert_close(made.count, torch.tensor([[2.25, 1.75]]))
    assert_close(made.vectors.flatten(), torch.tensor([0.75 / 2.25, 18 / 1.75]))


def test_codebook_finds_the_clusters_of_its_rows() -> None:
    centres = torch.tensor([[-6.0, 0.0], [6.0, 0.0], [0.0, 6.0], [0.0, -6.0]])
    made = book(1, 12, 2).train()
    for step in range(60):
        chosen = torch.randint(4, (200,), generator=noise("row", step))
        made(centres[chosen] + 0.1 * torch.randn(200, 2, generator=noise("z", step)), noise("restart", step))
    # twelve codes, four clusters: restarts at rows leave no cluster without a code nearby
    assert torch.cdist(centres, made.vectors[0]).min(dim=1).values.max() < 0.3


def test_dead_codes_start_again_and_used_ones_stay() -> None:
    made = book(1, 2, 1).train()
    made.vectors.copy_(torch.tensor([[[0.0], [1000.0]]]))
    made.count.copy_(torch.tensor([[10.0, 0.0]]))
    z = torch.linspace(-1, 1, 20)[:, None]
    made._restart(z, noise())
    assert made.vectors[0, 0] == 0
    assert made.vectors[0, 1] in z


def test_same_generator_same_codebook() -> None:
    made = [book(2, 5, 3).train() for _ in range(2)]
    for own in made:
        for step in range(5):
            own(torch.randn(30, 6, generator=noise("z", step)), noise("restart", step))
    for name, tensor in made[0].state_dict().items():
        assert torch.equal(tensor, made[1].state_dict()[name]), name


def test_decay_zero_and_a_single_row_stay_finite() -> None:
    made = book(2, 4, 2, decay=0.0).train()
    for step in range(3):
        q, _ = made(torch.ones(1, 4), noise(step))
        assert_close(q, torch.ones(1, 4))
    assert all(bool(tensor.isfinite().all()) for tensor in made.state_dict().values())


def test_perplexity_counts_the_codes_in_use() -> None:
    made = book(2, 4, 1)
    made.usage.copy_(torch.tensor([[5.0, 5, 5, 5], [7, 0, 0, 0]]))
    assert_close(made.perplexity(), torch.tensor([4.0, 1.0]))


def test_restarted_codes_are_not_counted_as_used() -> None:
    made = book(1, 4, 1).train()
    made(torch.zeros(20, 1), noise())
    assert math.isclose(float(made.perplexity()), 1, rel_tol=1e-6)
