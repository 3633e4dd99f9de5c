from worldtokens.world_model.evaluation.metrics import Fidelity
from worldtokens.world_model.evaluation.tables import (
    comparison_table,
    metrics_table,
    overall_table,
    room_table,
    wins_over_copying,
)


def rows(horizon=8, room=-1, **psnr) -> list[Fidelity]:
    """A row of each predictor, with its PSNR."""
    same = dict(
        rollouts=5, foreground_recall=0.5, token_accuracy=0.9, player_seen=0.5, player_error=3.0,
    )  # fmt: skip
    return [
        Fidelity(horizon=horizon, predictor=name, room=room, psnr=value, **same)
        for name, value in psnr.items()
    ]


def test_tables():
    table = [
        *rows(room=-1, dream=21.5, copy=19.25, tokenizer=40.0),
        *rows(room=4, dream=21.5, copy=19.25, tokenizer=40.0),
    ]
    assert "  21.50  19.25  40.00" in overall_table(table)
    assert "best" not in overall_table(table)
    assert "       4     (5)  21.50  19.25    0.500  0.500" in room_table(table)
    assert room_table(table[:3]) == ""
    assert "21.50 0.500" in comparison_table({"mine": table, "other": table})


def test_the_best_of_several_dreams_stands_beside_their_mean():
    table = rows(dream=21.5, best=23.5, copy=22.25, tokenizer=40.0)
    assert "  21.50  23.50  22.25  40.00" in overall_table(table)
    assert "dream   best   copy token." in overall_table(table)


def test_copying_is_beaten_horizon_by_horizon():
    table = [
        *rows(1, dream=30.0, best=31.0, copy=29.0),
        *rows(2, dream=25.0, best=27.0, copy=26.0),
        *rows(50, dream=1.0, best=1.0, copy=26.0),
    ]
    assert wins_over_copying(table).splitlines() == [
        "dreams beat copying at horizons 1 to 2: "
        "1 of 2 in pooled PSNR, 0 of 2 in foreground recall",
        "the best of each start's beat copying at horizons 1 to 2: "
        "2 of 2 in pooled PSNR, 0 of 2 in foreground recall",
    ]


def test_metrics_stand_one_below_the_other():
    assert metrics_table({"token_accuracy": 1.0, "nats": 2.34567}).splitlines() == [
        "token accuracy  1.0000",
        "nats            2.3457",
    ]
    assert metrics_table({}) == ""
