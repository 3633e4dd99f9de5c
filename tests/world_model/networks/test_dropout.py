import torch
import torch.nn.functional as F

from worldtokens.world_model.networks.dropout import attend_with_dropout, dropout, keep_scale


def test_a_share_is_dropped_and_the_mean_stays():
    torch.manual_seed(0)
    x = torch.ones(300, 1001)
    y = dropout(x, 0.1, training=True)
    # 26 of 256 are dropped.
    assert set(y.unique().tolist()) == {0.0, float(torch.tensor(256 / 230))}
    assert abs(float((y == 0).float().mean()) - 26 / 256) < 0.002
    assert abs(float(y.mean()) - 1) < 0.003


def test_neither_evaluation_nor_a_share_of_nothing_changes_anything():
    x = torch.randn(5)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x


def test_dropped_activations_get_no_gradient():
    torch.manual_seed(0)
    x = torch.ones(64, requires_grad=True)
    y = dropout(x, 0.5, training=True)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, y.detach())


def test_all_bits_of_the_random_bytes_are_random():
    torch.manual_seed(0)
    kept = keep_scale(torch.Size((80_000,)), 0.5, torch.float32) > 0
    # Each of the eight bytes of a number drops as often as the others.
    shares = kept.view(-1, 8).float().mean(dim=0)
    torch.testing.assert_close(shares, torch.full((8,), 0.5), atol=0.02, rtol=0)


def test_attention_is_torch_s_where_the_dropped_weights_are_known(monkeypatch):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4, requires_grad=True) for _ in range(3))
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    monkeypatch.setattr(
        "worldtokens.world_model.networks.dropout.keep_scale", lambda shape, *_: torch.ones(shape)
    )
    got = attend_with_dropout(q, k, v, mask, 0.1)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(got, expected)
    weight = torch.randn_like(got)
    found = torch.autograd.grad((got * weight).sum(), (q, k, v))
    torch.testing.assert_close(found, torch.autograd.grad((expected * weight).sum(), (q, k, v)))


def test_dropped_weights_do_not_reach_the_output(monkeypatch):
    q, k = torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 3, 2)
    v = torch.tensor([[[[1.0], [10.0], [100.0]]]])
    scale = torch.tensor([[[0.0, 2.0, 2.0]]])
    monkeypatch.setattr("worldtokens.world_model.networks.dropout.keep_scale", lambda *_: scale)
    # Equal weights of 1/3: 0 + 20/3 + 200/3.
    got = attend_with_dropout(q, k, v.expand(-1, -1, -1, 2), None, 0.3)
    torch.testing.assert_close(got, torch.full((1, 1, 1, 2), 220 / 3))
