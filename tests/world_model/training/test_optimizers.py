import torch

from tests.world_model.tiny import tiny
from worldtokens.world_model.training.optimizers import MuonAdamW


def test_matrices_of_the_transformer_go_to_muon_and_every_weight_to_one():
    model = tiny("factorised", code_dim=0)
    optimizer = MuonAdamW(model, 1e-3, 0.1)
    muon, adamw = (set(map(id, group["params"])) for group in optimizer.param_groups)
    assert not muon & adamw
    assert muon | adamw == set(map(id, model.parameters()))
    network = model.network
    assert id(network.merge.weight) in muon and id(network.unmerge.weight) in muon
    assert id(network.transformer.blocks[0].mlp.first.weight) in muon
    for weight in (network.token_embedding.weight, network.token_head[0].weight):
        assert id(weight) in adamw
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_a_restored_state_takes_the_same_step():
    steps = []
    for restored in (False, True):
        model = tiny("factorised", code_dim=0)
        optimizer = MuonAdamW(model, 1e-2, 0.0)
        for number in range(2):
            for weight in model.parameters():
                weight.grad = torch.ones_like(weight) * (number + 1)
            if restored and number == 1:
                state = optimizer.state_dict()
                optimizer = MuonAdamW(model, 1e-2, 0.0)
                optimizer.load_state_dict(state)
            optimizer.step()
        steps.append([weight.detach().clone() for weight in model.parameters()])
    assert all(torch.equal(first, second) for first, second in zip(*steps, strict=True))
