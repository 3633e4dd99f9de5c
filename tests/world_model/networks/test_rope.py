import math

import torch

from worldtokens.world_model.networks.rope import block_coordinates, rotary_embedding

CPU = torch.device("cpu")


def test_pairs_rotate_by_their_position():
    rotary = rotary_embedding(torch.tensor([[0], [1]]), 4, CPU)
    x = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(2, 4)
    first, second = rotary(x)
    assert first.tolist() == [1, 1, 0, 0]
    slow = 100.0 ** -(1 / 2)
    expected = [math.cos(1), math.cos(slow), math.sin(1), math.sin(slow)]
    torch.testing.assert_close(second, torch.tensor(expected))


def test_products_depend_on_the_distance_only():
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    at = rotary_embedding(torch.tensor([[3], [5], [100_003], [100_005]]), 8, CPU)
    rows = at(torch.stack((q, k, q, k)))
    torch.testing.assert_close(rows[0] @ rows[1], rows[2] @ rows[3])
    assert not torch.allclose(rows[0] @ rows[1], q @ k)


def test_axes_share_the_pairs():
    rotary = rotary_embedding(torch.tensor([[1, 0]]), 4, CPU)
    assert rotary.cos[0, 1] == 1 and rotary.sin[0, 1] == 0 and rotary.cos[0, 0] < 1
    assert rotary[0:1].cos.shape == (1, 2)


def test_the_action_stands_outside_of_the_frame():
    assert block_coordinates(2, 2).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [-1, -1]]
