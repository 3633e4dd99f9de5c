import csv
import json

import av
import numpy as np
import pytest
import torch
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.training.command_line import compose
from worldtokens.world_model import WorldModel, evaluate, imagine
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluate import EvaluateConfig
from worldtokens.world_model.evaluation.open_loop import measure, roll_out
from worldtokens.world_model.imagine import ImagineConfig
from worldtokens.world_model.video.action_scripts import parse_actions


def overrides(root, dataset, *more):
    return ["env=FakeGame", f"root={root}", f"data={dataset}", *more]


def test_imagine_writes_videos_that_browsers_play_and_what_they_show(trained, dataset):
    options = overrides(trained, dataset, "count=2", "horizon=5", "context=3", "scale=3")
    imagine.main(compose(ImagineConfig, "imagine", options))
    folder = trained / "FakeGame" / "dreams"
    with av.open(str(folder / "dream_01.mp4")) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.pix_fmt == "yuv420p"
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
        assert stream.average_rate == 15
    assert len(frames) == 8 and frames[0].shape[0] % 2 == 0 and frames[0].shape[1] % 2 == 0
    content = (folder / "dream_01.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with Image.open(folder / "dream_01.gif") as gif:
        assert gif.n_frames == 8  # pyright: ignore[reportAttributeAccessIssue]
    about = json.loads((folder / "dream_01.json").read_text())
    (dream,) = about["dreams"]
    assert len(dream["actions"]) == len(dream["rewards"]) == len(dream["ends"]) == 5
    assert dream["action_names"] == [("NOOP", "RIGHT", "LEFT")[a] for a in dream["actions"]]
    assert about["seed"] == 0 and about["tokenizer"] and about["world_model"]
    # The left panel is the true frame, enlarged.
    held = EpisodeDataset(dataset, "heldout")
    index = [info.id for info in held.infos].index(about["episode"])
    true = held.read_frames(*held.frame_starts[index : index + 2])[about["first_frame"]]
    shown = frames[0][44 : 44 + 48 : 3, 8 : 8 + 96 : 3].astype(int)
    assert np.abs(shown - true).mean() < 12


def test_the_same_seed_writes_the_same_dream(trained, dataset):
    found = []
    for seed, out in ((1, "a"), (1, "b"), (2, "c")):
        more = (f"seed={seed}", f"out={trained / out}", "top_k=null", "count=1", "horizon=8")
        imagine.main(compose(ImagineConfig, "imagine", overrides(trained, dataset, *more)))
        found.append((trained / out / "dream_00.mp4").read_bytes())
    assert found[0] == found[1] != found[2]


def test_what_if_dreams_one_start_under_each_action(trained, dataset):
    more = ("what_if=[RIGHT,left]", "count=1", "horizon=6", "samples=2", "top_k=null")
    imagine.main(compose(ImagineConfig, "imagine", overrides(trained, dataset, *more)))
    about = json.loads((trained / "FakeGame" / "dreams" / "what_if_00.json").read_text())
    actions = [dream["action_names"] for dream in about["dreams"]]
    assert actions == [["RIGHT"] * 6] * 2 + [["LEFT"] * 6] * 2
    assert "real_rewards" not in about
    with av.open(str(trained / "FakeGame" / "dreams" / "what_if_00.mp4")) as video:
        assert video.streams.video[0].width >= 4 * 32 * 4  # Four panels.


def test_what_if_takes_sequences(trained, dataset):
    more = ('what_if=[RIGHT,"(LEFT,NOOP*2)*2"]', "count=1", "horizon=7")
    imagine.main(compose(ImagineConfig, "imagine", overrides(trained, dataset, *more)))
    about = json.loads((trained / "FakeGame" / "dreams" / "what_if_00.json").read_text())
    assert [dream["actions"] for dream in about["dreams"]] == [[1] * 7, [2, 0, 0, 2, 0, 0, 0]]
    assert about["what_if"] == ["RIGHT", "(LEFT,NOOP*2)*2"]


def test_a_start_that_was_dreamt_from_is_dreamt_from_again(trained, dataset):
    folder = trained / "FakeGame" / "dreams"

    def dream(*more):
        words = overrides(trained, dataset, "horizon=4", *more)
        imagine.main(compose(ImagineConfig, "imagine", words))
        return [json.loads(path.read_text()) for path in sorted(folder.glob("dream_*.json"))]

    *_, last = dream("count=3", "seed=5")
    start = f"start='{last['episode']}:{last['first_frame']}'"
    (again, *_) = dream(start, "count=3")
    assert {**again, "seed": 5} == last


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("test-0001", "start: expected EPISODE:FRAME, got 'test-0001'"),
        ("'test-9999:0'", "start: no episode 'test-9999' among the"),
        ("'NAME:10'", "has frames 0 to 12; with context . horizon = 6 expected at most 7, got 10"),
    ],
)
def test_starts_that_are_not_there_are_named(trained, dataset, start, message):
    name = EpisodeDataset(dataset, "heldout").infos[0].id
    more = (f"start={start.replace('NAME', name)}", "horizon=2")
    with pytest.raises(ValueError, match=message):
        imagine.main(compose(ImagineConfig, "imagine", overrides(trained, dataset, *more)))


def test_typed_actions_are_dreamt_beyond_the_end_of_the_episode(trained, dataset):
    more = ("actions='RIGHT*2,LEFT'", "count=1", "horizon=30")
    imagine.main(compose(ImagineConfig, "imagine", overrides(trained, dataset, *more)))
    about = json.loads((trained / "FakeGame" / "dreams" / "dream_00.json").read_text())
    assert about["dreams"][0]["actions"] == [1, 1] + [2] * 28


MEANINGS = ("NOOP", "RIGHT", "LEFT")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RIGHT", [1] * 5),
        ("right*2, LEFT", [1, 1, 2, 2, 2]),
        ("RIGHT*9", [1] * 5),
        ("NOOP,LEFT*3,RIGHT", [0, 2, 2, 2, 1]),
        ("(RIGHT,NOOP)*2", [1, 0, 1, 0, 0]),
        ("LEFT, (right, NOOP*2) * 2,LEFT", [2, 1, 0, 0, 1]),
    ],
)
def test_action_scripts(text, expected):
    assert parse_actions(text, MEANINGS, 5, np.random.default_rng(0)).tolist() == expected


def test_random_actions_are_held_and_follow_the_seed():
    first, again, other = (
        parse_actions("random", MEANINGS, 400, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    changes = int((np.diff(first) != 0).sum())
    assert 10 < changes < 60  # 400 steps, held for 10 on average, a third drawn anew the same.
    assert set(first.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RIHGT", "no action 'RIHGT' in this game; did you mean RIGHT"),
        ("JUMP", "no action 'JUMP' in this game; there are NOOP, RIGHT, LEFT"),
        ("RIGHT*0", "expected data, random or a sequence .* got 'RIGHT.0'"),
        ("RIGHT x3", "got 'RIGHT x3'"),
        ("(RIGHT,NOOP)*0", "got '.RIGHT'"),
        ("(RIGHT,NOOP", "got '.RIGHT'"),
        ("(RIGHT)*99999", "got '.RIGHT.*99999'"),
    ],
)
def test_wrong_action_scripts_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_actions(text, MEANINGS, 5, np.random.default_rng(0))


def test_evaluate_writes_table_curves_and_figures(trained, dataset, capsys):
    options = overrides(trained, dataset, "starts=6", "horizons=[1,4,50]")
    evaluate.main(compose(EvaluateConfig, "world_model_evaluate", options))
    folder = trained / "FakeGame" / "world_model" / "evaluation"
    with open(folder / "fidelity.csv") as file:
        rows = list(csv.DictReader(file))
    # All horizons, not only those of the table; but of these starts none has more than 9 steps.
    assert {row["horizon"] for row in rows} == {str(n) for n in range(1, 10)}
    assert {row["guess"] for row in rows} == {"dream", "copy", "tokenizer"}
    about = json.loads((folder / "fidelity.json").read_text())
    assert set(about["figures"]) >= {"nats_per_frame", "token_accuracy", "copy_accuracy"}
    assert (folder / "fidelity.png").stat().st_size > 10_000
    assert "pooled PSNR" in capsys.readouterr().out
    # An untrained model dreams that the last frame stays, so it is as good as copying its tokens.
    of = {(row["horizon"], row["guess"]): row for row in rows}
    assert of["4", "dream"]["token_accuracy"] == of["4", "copy"]["token_accuracy"]
    assert float(of["4", "tokenizer"]["token_accuracy"]) == 1.0
    card = (trained / "FakeGame" / "world_model" / "export" / "README.md").read_text()
    assert f"| nats per frame, one step ahead | {about['figures']['nats_per_frame']:.2f} |" in card
    (line,) = (line for line in card.splitlines() if line.startswith("| 4 | "))
    assert line.split(" | ")[1] == f"{float(of['4', 'dream']['psnr']):.4g}"


def test_fidelity_of_copying_is_computed_on_true_frames(trained, dataset, tokenizer_folder):
    held = EpisodeDataset(dataset, "heldout")
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    model = WorldModel.from_pretrained(trained / "FakeGame" / "world_model")
    episode = load_tokens(held, tokenizer).episodes[0]
    found = roll_out(model, [(episode, 9)], 2, 4, top_k=1)
    # The context is frames 9 and 10 of an episode whose last frame is 12.
    assert found.truth.mask.tolist() == [[True] * 4 + [False] * 2]
    frames = held.read_frames(0, held.num_frames)
    rows = measure(found, tokenizer, held, SceneBackgrounds.fit(frames, held.scene, 0), [1, 2, 4])
    assert [(row.horizon, row.guess) for row in rows] == [
        (horizon, guess) for horizon in (1, 2) for guess in ("dream", "copy", "tokenizer")
    ]
    error = (frames[12].astype(float) - frames[10]) ** 2
    copy = next(row for row in rows if row.horizon == 2 and row.guess == "copy")
    if error.any():
        assert copy.psnr == pytest.approx(10 * np.log10(255**2 / error.mean()), abs=1e-4)
    assert copy.reward_accuracy == 0.0 and copy.rollouts == 1  # The last step pays 100.
    assert copy.end_accuracy == float(not episode.terminated[-1])


def test_another_tokenizer_is_refused(trained, dataset, tokenizer_folder, new_tokenizer):
    new_tokenizer(seed=3).save_pretrained(tokenizer_folder / "export")
    for main, kind, name in (
        (imagine.main, ImagineConfig, "imagine"),
        (evaluate.main, EvaluateConfig, "world_model_evaluate"),
    ):
        with pytest.raises(ValueError, match="trained on the tokens of tokenizer .* not of"):
            main(compose(kind, name, overrides(trained, dataset)))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("horizon=40", "no episode has the 44 frames of context . horizon .the longest has 13"),
        ("context=5", "context_tokens: expected at most 4 frames, the context .* got 5"),
        ("count=0", "count: expected at least 1, got 0"),
        ("temperature=0", "temperature: expected a number above 0"),
        ("run=nothing", "world model .*nothing: no such folder"),
    ],
)
def test_wrong_settings_of_imagine_are_named(trained, dataset, option, message):
    with pytest.raises(ValueError, match=message):
        options = overrides(trained, dataset, "horizon=4", option)
        imagine.main(compose(ImagineConfig, "imagine", options))


def test_several_dreams_of_a_start_are_judged_by_their_mean_and_by_the_best(
    trained, dataset, tokenizer_folder, monkeypatch
):
    held = EpisodeDataset(dataset, "heldout")
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    model = WorldModel.from_pretrained(trained / "FakeGame" / "world_model")
    episodes = load_tokens(held, tokenizer).episodes
    found = roll_out(model, [(episodes[0], 3), (episodes[1], 9)], 2, 4, samples=3, top_k=1)
    assert len(found.rollout.tokens) == 6 and found.frame_numbers[2, 0] == 3
    found.rollout.tokens.copy_((found.truth.tokens[:, 2:] + 1) % 64)
    # The second of the first start's dreams and the third of the second's are the truth itself.
    for dream, steps in ((1, 4), (5, 2)):
        found.rollout.tokens[dream, :steps] = found.truth.tokens[dream, 2 : 2 + steps]
    # The true frames are made the tokenizer's own: an untrained one may be nearer with others.
    everything = torch.from_numpy(np.concatenate([e.tokens for e in episodes]).astype(np.int64))
    frames = tokenizer.decode(everything).numpy()
    monkeypatch.setattr(EpisodeDataset, "gather_frames", lambda self, numbers: frames[numbers])
    backgrounds = SceneBackgrounds.fit(frames, held.scene, 0)
    rows = measure(found, tokenizer, held, backgrounds, [1, 2, 4])
    of = {(row.horizon, row.guess): row for row in rows}
    for horizon, starts in ((1, 2), (2, 2), (4, 1)):
        best, ceiling, mean = (of[horizon, name] for name in ("best", "tokenizer", "dream"))
        assert best.psnr == ceiling.psnr and best.token_accuracy == 1.0
        assert best.rollouts == starts and mean.rollouts == 3 * starts
        assert mean.token_accuracy == pytest.approx(1 / 3)


def test_several_dreams_need_chance():
    with pytest.raises(ValueError, match="samples=4: with top_k=1 all of them would be the same"):
        compose(EvaluateConfig, "world_model_evaluate", ["env=FakeGame", "samples=4"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("context=5", "context_tokens: expected at most 4 frames, the context .* got 5"),
        ("context=13", "no episode has the 14 frames of context . horizon .the longest has 13"),
        ("starts=0", "starts: expected at least 1, got 0"),
        ("samples=0", "samples: expected at least 1, got 0"),
        ("horizons=[]", "horizons: expected numbers of at least 1"),
        ("horizons=[0,4]", "horizons: expected numbers of at least 1, got .0, 4."),
        ("run=nothing", "world model .*nothing: no such folder"),
        ("data=nowhere", "nowhere"),
    ],
)
def test_wrong_settings_of_evaluate_are_named(trained, dataset, option, message):
    with pytest.raises(ValueError, match=message):
        options = overrides(trained, dataset, "starts=2", option)
        evaluate.main(compose(EvaluateConfig, "world_model_evaluate", options))


def test_a_dataset_of_another_game_is_refused(trained, dataset, tmp_path):
    text = (dataset / "dataset.json").read_text()
    assert '"LEFT"' in text
    (dataset / "dataset.json").write_text(text.replace('"LEFT"', '"LEFT", "UP"'))
    for main, kind, name in (
        (imagine.main, ImagineConfig, "imagine"),
        (evaluate.main, EvaluateConfig, "world_model_evaluate"),
    ):
        with pytest.raises(ValueError, match="trained on 3 actions of FakeGame, the dataset has 4"):
            main(compose(kind, name, overrides(trained, dataset)))


def test_actions_and_starts_that_do_not_fit_are_named(trained, dataset, tokenizer_folder):
    model = WorldModel.from_pretrained(trained / "FakeGame" / "world_model")
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    episode = load_tokens(EpisodeDataset(dataset, "heldout"), tokenizer).episodes[0]
    with pytest.raises(ValueError, match=r"actions: expected values in \[0, 3\), got 0 to 3"):
        roll_out(model, [(episode, 0)], 2, 2, actions=torch.tensor([[0, 3]]))
    with pytest.raises(ValueError, match=r"actions: expected int64 \(2, H\), got shape \(1, 2\)"):
        roll_out(model, [(episode, 0)], 2, 2, actions=torch.tensor([[0, 1]]), samples=2)


def test_no_starts_is_an_error(trained):
    model = WorldModel.from_pretrained(trained / "FakeGame" / "world_model")
    with pytest.raises(ValueError, match="starts: expected at least one"):
        roll_out(model, [], 2, 4)
