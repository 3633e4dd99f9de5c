import csv
import json
import shutil

import pytest

from worldtokens.training.command_line import compose
from worldtokens.world_model import evaluate
from worldtokens.world_model.evaluate import EvaluateConfig

SMALL = ["events=4", "lost_lives=4", "strange_tokens=2", "counterfactuals=2", "payments=2"]


@pytest.fixture
def run(trained, dataset):
    """Runs the script; returns the folder of the evaluation."""

    def run(*more):
        options = ["env=FakeGame", f"root={trained}", f"data={dataset}", *SMALL, *more]
        config = compose(EvaluateConfig, "world_model_evaluate", options)
        evaluate.main(config)
        return trained / "FakeGame" / config.run / "evaluation"

    return run


def test_table_curves_and_metrics_are_written(run, trained, capsys):
    folder = run("starts=6", "horizons=[1,4,50]")
    with open(folder / "fidelity.csv") as file:
        rows = list(csv.DictReader(file))
    # All horizons, not only those of the table; but of these starts none has more than 9 steps.
    assert {row["horizon"] for row in rows} == {str(n) for n in range(1, 10)}
    assert {row["predictor"] for row in rows} == {"dream", "copy", "tokenizer"}
    report = json.loads((folder / "fidelity.json").read_text())
    assert set(report["metrics"]) >= {"nats_per_frame", "token_accuracy", "copy_accuracy"}
    assert (folder / "fidelity.png").stat().st_size > 10_000
    assert "pooled PSNR" in capsys.readouterr().out
    # An untrained model dreams that the last frame stays, so it is as good as copying its tokens.
    by_row = {(row["horizon"], row["predictor"]): row for row in rows}
    assert by_row["4", "dream"]["token_accuracy"] == by_row["4", "copy"]["token_accuracy"]
    assert float(by_row["4", "tokenizer"]["token_accuracy"]) == 1.0
    card = (trained / "FakeGame" / "world_model" / "export" / "README.md").read_text()
    nats = report["metrics"]["nats_per_frame"]
    assert f"| nats per frame, one step ahead | {nats:.2f} |" in card
    (line,) = (line for line in card.splitlines() if line.startswith("| 4 | "))
    assert line.split(" | ")[1] == f"{float(by_row['4', 'dream']['psnr']):.4g}"


def test_the_parts_are_printed_written_and_in_the_card(run, trained, capsys):
    folder = run("starts=2", "horizons=[1]")
    printed = capsys.readouterr().out
    assert "events that dreams foresee, by steps ahead" in printed
    # No life is lost in these data, and they have no archive of saved states.
    assert "left out: no life is lost in these episodes" in printed
    assert printed.count("has no archive of saved states") == 2
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{end}" for name in ("fidelity", "events", "event_rates", "strange_tokens")
        for end in ("csv", "json", "png")
    }  # fmt: skip
    tree = json.loads((folder / "events.json").read_text())
    kinds = {(row["kind"], row["value"]) for row in tree["rows"]}
    # The held-out episodes, 9 and 19, are truncated.
    assert kinds == {("reward", "all"), ("reward", "100")}
    assert tree["settings"]["events"] == 4 and tree["world_model"]
    card = (trained / "FakeGame" / "world_model" / "export" / "README.md").read_text()
    assert "| reward | greedy | 2 | 0 | 0 | 0 | 0 |" in card


def test_all_episodes_of_other_data_are_evaluated_by_what_training_data_teach(
    run, dataset, trained, more_episodes, tmp_path
):
    more_episodes(tmp_path / "other", 100, 4)
    folder = run(
        "starts=40", "horizons=[1]", f"data={tmp_path / 'other'}", "split=all",
        f"training_data={dataset}",
    )  # fmt: skip
    rows = json.loads((folder / "fidelity.json").read_text())["fidelity"]
    # Four episodes of 13 frames have nine windows each of four known frames and one to come.
    assert {row["rollouts"] for row in rows if row["horizon"] == 1} == {36}


def test_several_dreams_need_chance():
    with pytest.raises(ValueError, match="samples: expected 1 with top_k=1, .* got 4"):
        compose(EvaluateConfig, "world_model_evaluate", ["env=FakeGame", "samples=4"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("context=5", "context_tokens: expected at most 4 frames, .* got 5"),
        ("context=13", "14 frames"),
        ("starts=0", "starts: expected a whole number of at least 1, got 0"),
        ("samples=0", "samples: expected a whole number of at least 1, got 0"),
        ("horizons=[]", "horizons: expected numbers of at least 1"),
        ("horizons=[0,4]", "horizons: expected numbers of at least 1, got .0, 4."),
        ("run=nothing", "nothing: no such folder"),
        ("data=nowhere", "nowhere"),
    ],
)
def test_wrong_settings_are_named(run, option, message):
    with pytest.raises(ValueError, match=message):
        run("starts=2", option)


def test_models_of_other_tokenizers_and_games_are_refused(
    run, dataset, tokenizer_folder, new_tokenizer
):
    text = (dataset / "dataset.json").read_text()
    tree = json.loads(text.replace('"LEFT"', '"LEFT", "UP"'))
    del tree["digest"]  # Changed on purpose.
    (dataset / "dataset.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="3 .*4"):
        run()
    new_tokenizer(seed=3).save_pretrained(tokenizer_folder / "export")
    with pytest.raises(ValueError, match="tokenizer"):
        run()


def test_runs_stand_side_by_side(run, trained, capsys):
    folder = trained / "FakeGame"
    shutil.copytree(folder / "world_model" / "export", folder / "other" / "export")
    with pytest.raises(ValueError, match="compare: expected runs that were evaluated, got other"):
        run("horizons=[1,4]", "starts=4", "compare=[other]")
    run("horizons=[1,4]", "starts=4", "run=other")
    capsys.readouterr()
    run("horizons=[1,4]", "starts=4", "compare=[other]")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "(dB | recall)" in line)
    assert line.split()[:3] == ["horizon", "world_model", "other"]


def test_a_card_of_an_earlier_version_keeps_no_second_name(run, trained):
    export = trained / "FakeGame" / "world_model" / "export"
    tree = json.loads((export / "config.json").read_text())
    del tree["facts"]["digest"]  # Changed on purpose.
    tree["facts"]["metrics"] = {"sideways_followed": 0.5, "followed_sideways": 0.5, "loss": 2.0}
    (export / "config.json").write_text(json.dumps(tree))
    run("starts=2", "horizons=[1]")
    metrics = json.loads((export / "config.json").read_text())["facts"]["metrics"]
    assert metrics["loss"] == 2.0 and "nats_per_frame" in metrics
    assert {name for name in metrics if "follow" in name} == {"sideways_action_following"}
