import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import games
import pytest
from atari100k import rows as rows_module
from atari100k.rows import Row, command_of, measure_row, picture_path, read_row, row_from, row_path
from atari100k.stages import Budget, Job, run_stages, times_path
from atari100k.table import merge_rows, read_rows, write_tables
from PIL import Image

BUDGET = Budget(600, 1500, 2.0, None, None, 5, 3, 60, 100, 8, 4, ("batch_size=2",))


def job(root=Path("root"), design="default", overrides=()) -> Job:
    return Job("Pong", design, 3, tuple(overrides), BUDGET, root)


def row(game="Pong", seed=0, **values) -> Row:
    horizons = {
        f"{who}_{what}": {1: base, 8: base - 1.0, 20: base - 2.0}
        for what, at in (("psnr", 30.0), ("recall", 3.0))
        for who, base in (("dream", at + 1), ("copy", at), ("tokenizer", at + 2))
    }
    numbers = {"tokens": 64.0, "vocabulary": 8192.0, "bits": 832.0, "recall": 0.95, "psnr": 40.0}
    command = f"python benchmarks/games.py --games {game} --designs default --seeds {seed}"
    return Row(game, "default", seed, "1", command, **{**numbers, **horizons, **values})


def test_each_stage_finds_the_one_before():
    commands = dict(job(overrides=["model.codebook_size=16"]).commands())
    assert list(commands) == [
        "collect.run", "tokenizer.train", "tokenizer.evaluate", "world_model.train",
        "world_model.evaluate", "world_model.imagine",
    ]  # fmt: skip
    assert {"env=Pong", "data=root/data/Pong_3", "num_steps=600"} <= set(commands["collect.run"])
    train = commands["tokenizer.train"]
    assert train.index("model.codebook_size=16") < train.index("batch_size=2")
    assert {"budget.max_minutes=2.0", "budget.max_steps=null"} <= set(train)
    assert "run=tokenizer_default_3" in train and "model.codebook_size=16" in train
    for stage in ("world_model.train", "world_model.evaluate", "world_model.imagine"):
        assert "tokenizer=root/runs/Pong/tokenizer_default_3" in commands[stage]
    assert {"budget.max_minutes=null", "budget.max_steps=5"} <= set(commands["world_model.train"])
    model = commands["world_model.train"]
    assert "model.codebook_size=16" not in model
    assert model.index("batch_size=3") < model.index("batch_size=2")


def test_a_command_measures_the_row_again():
    assert command_of(job()) == (
        "python benchmarks/games.py --games Pong --designs default --seeds 3 --collect-steps 600 "
        "--explore-steps 1500 --probe-frames 100 --starts 8 --events 4 --frames 60 "
        "--world-model-batch 3 --tokenizer-minutes 2 --world-model-steps 5 --set batch_size=2"
    )


def test_a_row_may_end_with_the_tokenizer():
    budget = replace(BUDGET, tokenizer_only=True)
    alone = replace(job(), budget=budget)
    assert [stage for stage, _ in alone.commands()] == [
        "collect.run", "tokenizer.train", "tokenizer.evaluate",
    ]  # fmt: skip
    assert command_of(alone).endswith(
        "--frames 60 --tokenizer-minutes 2 --tokenizer-only --set batch_size=2"
    )
    # Rows that were measured before there was this choice are still known.
    assert "tokenizer_only" not in str(job().settings) and alone.settings != job().settings
    assert "horizons" not in row(beats_copying=math.nan).sentence()


def test_designs_stand_beside_each_other(tmp_path):
    none = dict.fromkeys(("dream_psnr", "dream_recall", "copy_psnr", "copy_recall"), {})
    rows = [row(seed=0, psnr=40.0, **none), row(seed=1, psnr=42.0, **none), row("Boxing", **none)]
    rows.append(replace(rows[0], design="vqgan", psnr=30.0))
    write_tables(tmp_path, rows, tmp_path)
    page = (tmp_path / "games.md").read_text()
    beside = page.split("## default")[0]
    assert "### PSNR, dB\n\n| game | default | vqgan |\n|---|---:|---:|\n" in beside
    assert "| Pong | 41.0 ± 1.0 | 30.0 |" in beside
    # Only one design was measured on it, and nothing dreamt.
    assert "Boxing" not in beside and "beats copying" not in page and "Dreams" not in page


def test_stages_that_are_done_are_not_repeated(tmp_path, monkeypatch):
    ran, codes = [], {"world_model.train": 1}

    def run(module, overrides, log):
        ran.append(module)
        log.write_text("some\nerror: why\n")
        return 2.0, 1.5, codes.get(module, 0)

    monkeypatch.setattr("atari100k.stages._run", run)
    with pytest.raises(ValueError, match=r"world_model.train: error: why \(.*Pong_default_3.log\)"):
        run_stages(job(tmp_path))
    assert ran == ["collect.run", "tokenizer.train", "tokenizer.evaluate", "world_model.train"]
    codes.clear()
    run_stages(job(tmp_path))
    assert ran[4:] == ["world_model.train", "world_model.evaluate", "world_model.imagine"]
    times = json.loads(times_path(job(tmp_path)).read_text())
    assert times["seconds"]["world_model.train"] == 4.0
    assert times["core_seconds"]["collect.run"] == 1.5
    # Other settings begin anew.
    run_stages(job(tmp_path, overrides=["model.codebook_size=16"]))
    assert ran[7:] == [name for name, _ in job().commands()]


def test_rows_come_back_from_their_file(tmp_path):
    given = row(worst_recall=math.nan)
    path = row_path(job(tmp_path))
    path.parent.mkdir(parents=True)
    tree = rows_module._known(rows_module.asdict(given))
    assert tree["worst_recall"] is None
    path.write_text(json.dumps({"settings": job().settings, "row": tree}))
    back = read_row(job(tmp_path))
    assert back is not None and back.dream_psnr == {1: 31.0, 8: 30.0, 20: 29.0}
    assert math.isnan(back.worst_recall) and back.psnr == 40.0
    assert read_row(job(tmp_path, overrides=["x=1"])) is None
    assert row_from(tree).command == given.command


def test_the_table_keeps_rows_of_before_and_shows_the_spread(tmp_path):
    write_tables(tmp_path, [row(psnr=40.0), row("Boxing", recall=0.9)], tmp_path)
    picture = picture_path(tmp_path, row())
    picture.parent.mkdir()
    Image.new("RGB", (256, 64), (9, 8, 7)).save(picture)
    known = read_rows(tmp_path)
    assert [(each.game, each.seed) for each in known] == [("Pong", 0), ("Boxing", 0)]
    merged = merge_rows(known, [row(seed=1, psnr=43.0), row(psnr=41.0, beats_copying=10.0)])
    write_tables(tmp_path, merged, tmp_path)
    with open(tmp_path / "games.csv") as file:
        lines = list(csv.DictReader(file))
    assert [(line["game"], line["psnr"]) for line in lines] == [
        ("Boxing", "40.0"), ("Pong", "41.0"), ("Pong", "43.0"),
    ]  # fmt: skip
    assert lines[1]["dream_psnr_8"] == "30.0" and lines[1]["worst_recall"] == ""
    page = (tmp_path / "games.md").read_text()
    assert "| Pong | 42.0 ± 1.0 |" in page and "| Boxing | 40.0 |" in page
    assert "30.0 ± 0.0 (29.0, 31.0)" in page
    assert "at least 0.93: 1 of 2 games; of at least 0.88: 2." in page
    assert page.count("```bash") == 1 and "--games GAME --designs default --seeds SEED" in page
    with Image.open(tmp_path / "games.png") as sheet:
        assert sheet.getpixel((100, 40)) == (9, 8, 7)


def test_a_table_of_another_version_is_not_overwritten(tmp_path):
    (tmp_path / "games.csv").write_text("game,design\nPong,default\n")
    with pytest.raises(ValueError, match="expected the columns that this version writes"):
        read_rows(tmp_path)


def test_a_game_that_fails_costs_no_other(tmp_path, monkeypatch, capsys):
    def stages(job):
        if job.game == "Pong":
            raise ValueError("tokenizer.train: error: why")

    monkeypatch.setattr(games, "run_stages", stages)
    monkeypatch.setattr(games, "measure_row", lambda job: row(job.game, job.seed))
    arguments = ["games.py", "--root", str(tmp_path / "r"), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*arguments, "--games", "pong", "Boxing"])
    with pytest.raises(SystemExit, match="1 of 2 rows failed: Pong_default_0: tokenizer"):
        games.main()
    assert [each.game for each in read_rows(tmp_path)] == ["Boxing"]
    assert "Boxing_default_0: PSNR 40.0, foreground recall 0.950" in capsys.readouterr().out


def test_wrong_options_are_explained(tmp_path):
    with pytest.raises(ValueError, match="--designs: expected some of default, vqgan, .*, got x"):
        games.read_designs(games.HERE / "designs" / "games.yaml", ["x"])
    with pytest.raises(ValueError, match="--jobs: expected at most"):
        games.cores(10**6)
    assert len(games.ATARI_100K) == 26 == len(set(games.ATARI_100K))


@pytest.mark.slow
def test_a_row_from_collecting_to_a_dream(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    # Enough steps for a held-out episode that is as long as a row's dreams.
    budget = Budget(3000, 1500, None, 2, None, 2, 2, 20, 30, 4, 2, ("batch_size=2",))
    small = ("start_frames=50", "model.codebook_size=16", "heldout_frames=10")
    real = Job("Pong", "small", 0, small, budget, tmp_path)
    run_stages(real)
    found = measure_row(real)
    assert (found.tokens, found.vocabulary, found.train_steps) == (64, 16, 2)
    assert 5 < found.psnr < 100 and 0 <= found.recall <= 1 and set(found.dream_psnr) == {1, 8, 20}
    assert min(found.encode_rate, found.decode_rate, found.dream_rate, found.core_minutes) > 0
    with Image.open(picture_path(tmp_path, found)) as picture:
        assert picture.size == (256, 64)
    assert read_row(real) == found or math.isnan(found.worst_recall)
