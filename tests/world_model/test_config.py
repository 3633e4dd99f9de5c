import pytest

from worldtokens.world_model import WorldModelConfig


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(prediction="serial"), "prediction: expected one of .* got 'serial'"),
        (dict(layers=0), "layers: expected a whole number of at least 1, got 0"),
        (dict(heads=5), "width 192 over 5 heads"),
        (dict(prediction="autoregressive"), "use attention=full with prediction=autoregressive"),
        (
            dict(prediction="autoregressive", attention="full"),
            "merge=2 and history=4 need",
        ),
        (dict(merge=3), r"merge: expected a divisor .* grid \(8, 8\), got 3; set model.merge=2"),
        (dict(layers=10**7), "layers: expected at most 512, got 10000000"),
        (dict(copies=9), "copies: expected 0 to context=8, got 9"),
        (dict(copies=0, stay_gate=True), "stay_gate=true needs copies of at least 1"),
        (dict(refine_layers=1, stay_gate=True), "refine_layers=1 learns from tokens that stay"),
        (dict(dropout=1.0), r"dropout: expected a share in \[0, 1\), got 1.0"),
        (dict(layers="2"), "layers: expected a whole number, got '2'"),
        (dict(grid=None), "grid: expected 2 whole numbers, got None"),
        (dict(grid=(0, 8)), r"grid: expected two whole numbers from 1 to 4096, got \(0, 8\)"),
        (dict(stay_gate="no"), "stay_gate: expected a truth value .*, got 'no'"),
        (dict(vocab_size=10**30), "vocab_size: expected at most 16777216, got 1000000"),
        (dict(reward_values=[float("nan")]), r"reward_values: expected finite values, got \[nan\]"),
        (dict(reward_values=[1.0, 0.0]), "reward_values: expected ascending distinct values"),
    ],
)
def test_wrong_configs_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        WorldModelConfig(**change)
