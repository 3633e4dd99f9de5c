from dataclasses import dataclass, field

import pytest
import yaml

from worldtokens.training.checkpoint import save_checkpoint
from worldtokens.training.run_folder import RunFolder, read_config


@dataclass
class Inner:
    mode: str = "offline"
    width: int = 8


@dataclass
class Config:
    seed: int = 0
    inner: Inner = field(default_factory=Inner)


def test_a_new_folder_holds_the_resolved_config(tmp_path):
    folder = RunFolder.open(tmp_path / "run", Config(seed=3))
    assert yaml.safe_load(folder.config.read_text()) == {
        "seed": 3,
        "inner": {"mode": "offline", "width": 8},
    }
    assert read_config(tmp_path / "run", Config) == Config(seed=3)


def test_the_same_config_opens_again_and_free_keys_may_differ(tmp_path):
    RunFolder.open(tmp_path / "run", Config())
    RunFolder.open(tmp_path / "run", Config(inner=Inner(mode="online")), free_keys=["inner.mode"])
    assert read_config(tmp_path / "run", Config).inner.mode == "online"


def test_another_config_is_refused_with_the_way_out(tmp_path):
    RunFolder.open(tmp_path / "run", Config(seed=7))
    # A start that took no step is no run.
    RunFolder.open(tmp_path / "run", Config()).metrics.write_text('{"step": 1}\n')
    with pytest.raises(ValueError, match=r"seed 0 -> 1.*run=NAME.*overwrite=true"):
        RunFolder.open(tmp_path / "run", Config(seed=1))
    with pytest.raises(ValueError, match=r"inner\.width 8 -> 9"):
        RunFolder.open(tmp_path / "run", Config(inner=Inner(width=9)), free_keys=["inner.mode"])


def test_overwrite_starts_afresh(tmp_path, capsys):
    folder = RunFolder.open(tmp_path / "run", Config())
    folder.metrics.write_text("old")
    (folder.path / "thesis.tex").write_text("years of work")
    folder = RunFolder.open(tmp_path / "run", Config(seed=1), overwrite=True)
    assert not folder.metrics.exists() and read_config(folder.path, Config).seed == 1
    assert (folder.path / "thesis.tex").exists()
    assert "left thesis.tex, which no run wrote" in capsys.readouterr().err


def test_a_folder_that_is_not_a_run_is_never_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="holds files but no config.yaml"):
        RunFolder.open(tmp_path, Config(), overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ValueError, match="expected a run folder, got one without config.yaml"):
        read_config(tmp_path, Config)


@dataclass
class RenamedConfig:
    token_noise_prob: float
    seed: int = 0


def test_a_folder_with_old_keys_opens_again_and_has_the_new_keys_then(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("noise_share: 0.05\nseed: 0\n")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1}\n')
    assert read_config(tmp_path / "run", RenamedConfig) == RenamedConfig(0.05)
    with pytest.raises(ValueError, match=r"token_noise_prob 0.05 -> 0.1"):
        RunFolder.open(tmp_path / "run", RenamedConfig(0.1))
    folder = RunFolder.open(tmp_path / "run", RenamedConfig(0.05))
    assert yaml.safe_load(folder.config.read_text()) == {"token_noise_prob": 0.05, "seed": 0}


def test_a_linked_folder_is_emptied_and_stays_linked(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "scratch")
    RunFolder.open(tmp_path / "run", Config()).metrics.write_text('{"step": 1}\n')
    RunFolder.open(tmp_path / "run", Config(seed=1), overwrite=True)
    assert (tmp_path / "run").is_symlink() and not (tmp_path / "scratch/metrics.jsonl").exists()
    assert read_config(tmp_path / "run", Config).seed == 1


@pytest.mark.parametrize("text", ("seed: [", "- 1\n- 2\n", "\0", "seed: {a: b"))
def test_a_damaged_config_is_named_with_the_way_out(tmp_path, text):
    folder = RunFolder.open(tmp_path / "run", Config())
    folder.metrics.write_text('{"step": 1}\n')
    folder.config.write_text(text)
    with pytest.raises(ValueError, match=r"config.yaml is damaged \(.*overwrite=true") as caught:
        RunFolder.open(tmp_path / "run", Config())
    assert "\n" not in str(caught.value)
    RunFolder.open(tmp_path / "run", Config(), overwrite=True)


def test_what_a_killed_run_left_is_removed_and_its_export_found(tmp_path):
    folder = RunFolder.open(tmp_path / "run", Config())
    (folder.path / ".export").mkdir()
    (folder.path / ".export.old").mkdir()
    (folder.path / ".export.old" / "config.json").write_text("{}")
    RunFolder.open(tmp_path / "run", Config())
    assert (folder.export / "config.json").read_text() == "{}"
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "config.yaml", "export", "samples",
    ]  # fmt: skip


def test_a_start_that_found_the_disk_full_does_not_block_the_next(tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device", str(path))

    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("worldtokens.training.run_folder.write_text", full)
        with pytest.raises(OSError, match="No space left"):
            folder.begin(Config())
    folder.samples.mkdir(exist_ok=True)
    (folder.path / ".1-00000000.config.yaml").write_text("half")
    RunFolder.open(tmp_path / "run", Config(seed=3))
    folder.config.unlink()
    folder.checkpoint.write_text("years of work")
    with pytest.raises(ValueError, match="holds files but no config.yaml"):
        RunFolder.open(tmp_path / "run", Config(seed=3))


@dataclass
class RunConfig(Config):
    budget: int = 1
    evaluations: int = 10


@pytest.mark.parametrize("overwrite", (False, True))
def test_a_config_of_another_program_is_never_touched(tmp_path, overwrite):
    (tmp_path / "config.yaml").write_text("seed: 1\nmodel: {width: 3}\n")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "figure.png").write_text("years of work")
    with pytest.raises(ValueError, match=r"config.yaml.* of a run, got one of another program; .*"):
        RunFolder.open(tmp_path, RunConfig(), overwrite=overwrite)
    assert (tmp_path / "config.yaml").read_text() == "seed: 1\nmodel: {width: 3}\n"
    assert (tmp_path / "samples" / "figure.png").read_text() == "years of work"


def test_a_damaged_run_is_overwritten_as_the_message_advises(tmp_path):
    folder = RunFolder.open(tmp_path, RunConfig())
    folder.config.write_text(folder.config.read_text().replace("inner:", "inner: {"))
    folder.metrics.write_text('{"step": 1}\n')
    with pytest.raises(ValueError, match=r"damaged.*or start afresh with overwrite=true"):
        RunFolder.open(tmp_path, RunConfig())
    RunFolder.open(tmp_path, RunConfig(seed=2), overwrite=True)
    folder.config.write_bytes(bytes(100))
    save_checkpoint(folder.checkpoint, {"step": 1})
    RunFolder.open(tmp_path, RunConfig(seed=3), overwrite=True)
    assert not folder.checkpoint.exists() and read_config(tmp_path, RunConfig).seed == 3
