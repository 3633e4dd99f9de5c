from worldtokens.world_model.evaluation.game.counterfactual_section import counterfactual_section
from worldtokens.world_model.evaluation.game.saved_states import SavedStates


def test_scripts_stand_in_lines_and_the_card_has_all_together(setup):
    section = counterfactual_section(setup, SavedStates(setup.heldout), 5)
    lines = section.table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "all", "NOOP", "LEFT", "RIGHT", "UP", "DOWN", "FIRE,NOOP",
    ]  # fmt: skip
    (first, *_) = section.card["counterfactuals"]
    row = next(row for row in section.rows if (row.script, row.horizon) == ("all", 1))
    assert first["horizon"] == 1 and first["PSNR, dream"] == row.psnr
    assert [len(panel.ticks) for panel in section.panels] == [3, 3, 7]
