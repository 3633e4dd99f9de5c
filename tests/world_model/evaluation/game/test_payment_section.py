from worldtokens.world_model.evaluation.game import payment_section as module
from worldtokens.world_model.evaluation.game.payment_section import payment_section
from worldtokens.world_model.evaluation.game.payments import PaymentRow
from worldtokens.world_model.evaluation.game.saved_states import SavedStates

NAN = float("nan")
ROWS = [
    PaymentRow("near rewards", "paid", -1, 20, 8, 4, 2, 1.6, 0.5, 0.25, 1.0),
    PaymentRow("near rewards", "paid", 1, 10, 8, 4, 2, 3.2, 0.5, 0.25, 1.0),
    PaymentRow("near rewards", "end", -1, 20, 0, 1, 0, 0.0, NAN, NAN, NAN),
]


def test_game_and_dream_stand_side_by_side(setup, monkeypatch):
    monkeypatch.setattr(module, "measure_payments", lambda *arguments: ROWS)
    states = SavedStates(setup.heldout)
    section = payment_section(setup, states, {"name": "held_random"}, 20, 100)
    lines = section.table.splitlines()
    assert lines[1].split("  ")[-1].strip() == "0.25 to 1.00" and len(lines) == 3
    assert lines[2].split()[-2:] == ["-", "-"]
    assert section.title.startswith("100 steps of held_random from equal starts")
    (panel,) = section.panels
    assert panel.lines == {"game": [8, 0], "dream": [4, 1], "both": [2, 0]}
    assert section.card["payments"][0]["dream / game"] == 0.5
    monkeypatch.setattr(module, "measure_payments", lambda *arguments: [])
    section = payment_section(setup, states, {"name": "held_random"}, 20, 100)
    assert section.table.startswith("left out") and section.card == {}
