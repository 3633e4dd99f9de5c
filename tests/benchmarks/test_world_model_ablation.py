import csv
import dataclasses

import pytest
from world_model_ablation import VARIANTS, Cell, cells_of, choose, main, markdown

from worldtokens.world_model import WorldModel
from worldtokens.world_model.evaluation.metrics import Fidelity


def row(horizon, predictor, psnr, recall, room=-1):
    others = {field.name: 0.0 for field in dataclasses.fields(Fidelity)}
    known = dict(horizon=horizon, predictor=predictor, room=room, rollouts=9, psnr=psnr)
    known |= dict(foreground_recall=recall, token_accuracy=0.5, player_error=3.0)
    return Fidelity(**{**others, **known})


def test_cells_are_the_dreams_of_all_rooms_beside_the_copies():
    rows = [
        row(1, "dream", 30.0, 0.8),
        row(1, "copy", 28.0, 0.6),
        row(1, "tokenizer", 40.0, 0.9),
        row(1, "dream", 99.0, 0.1, room=2),
    ]
    assert cells_of("refine", 3, rows, 0.25, 1000) == [
        Cell("refine", 3, 1, 30.0, 28.0, 0.8, 0.6, 0.5, 3.0, 0.25, 1000, 9)
    ]


def test_the_table_shows_means_over_seeds():
    cells = [
        Cell("a", 0, 1, 30.0, 20.0, 0.8, 0.5, 0.9, 1.0, 0.5, 1000, 9),
        Cell("a", 1, 1, 32.0, 20.0, 0.6, 0.5, 0.9, 1.0, 0.7, 3000, 9),
        # A horizon that the evaluation adds of itself.
        Cell("a", 0, 3, 10.0, 10.0, 0.8, 0.5, 0.9, 1.0, 0.5, 1000, 9),
        Cell("b", 0, 1, 25.0, 20.0, 0.1, 0.5, 0.9, 1.0, None, 500, 9),
    ]
    assert markdown(cells).splitlines() == [
        "| variant | frames trained | action following | dB +1 | recall +1 |",
        "|---|---|---|---|---|",
        "| copy the last frame |  |  | 20.00 | 0.500 |",
        "| a | 1,666 | 57% | 31.00 | 0.700 |",
        "| b | 500 |  | 25.00 | 0.100 |",
    ]


def test_a_variant_comes_after_the_one_whose_weights_it_dreams_with():
    assert [variant.name for variant in choose(["refine_off"])] == ["refine", "refine_off"]
    assert choose(None) == list(VARIANTS)
    with pytest.raises(ValueError, match="--variants: expected some of default, .*, got defualt"):
        choose(["defualt"])


def test_variants_are_trained_and_evaluated_once(tmp_path, dataset, tokenizer_folder, capsys):
    command = [
        "--env",
        "FakeGame",
        "--data",
        str(dataset),
        "--tokenizer",
        str(tokenizer_folder),
        "--root",
        str(tmp_path / "ablation"),
        "--out",
        str(tmp_path / "results" / "table"),
        "--starts",
        "4",
        "--variants",
        "refine_off",
        "--overrides",
        "budget.max_steps=2",
        "batch_size=2",
        "segment=4",
        "heldout_segments=2",
        "model.context=4",
        "model.layers=1",
        "model.heads=2",
        "model.width=32",
    ]
    main(command)
    runs = tmp_path / "ablation" / "FakeGame"
    assert WorldModel.from_pretrained(runs / "refine_0").config.refine_passes == 3
    assert WorldModel.from_pretrained(runs / "refine_off_0").config.refine_passes == 0
    with open(tmp_path / "results" / "table.csv") as file:
        lines = list(csv.DictReader(file))
    assert {line["variant"] for line in lines} == {"refine", "refine_off"}
    assert {line["frames_trained"] for line in lines} == {str(2 * 2 * 3)}
    written = (runs / "refine_0" / "export" / "model.safetensors").stat().st_mtime_ns
    main(command)
    assert (runs / "refine_0" / "export" / "model.safetensors").stat().st_mtime_ns == written
    assert capsys.readouterr().out.count("copy the last frame") == 2
