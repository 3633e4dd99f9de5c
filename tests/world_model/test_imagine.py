import json

import av
import numpy as np
import pytest
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.policies.policy import PolicyStopped
from worldtokens.training.command_line import compose
from worldtokens.world_model import imagine
from worldtokens.world_model.imagine import ImagineConfig


@pytest.fixture
def dream(trained, dataset):
    """Runs the script; returns the folder of the dreams and the JSON of each, in order."""

    def run(*more):
        options = ["env=FakeGame", f"root={trained}", f"data={dataset}", *more]
        config = compose(ImagineConfig, "imagine", options)
        imagine.main(config)
        folder = trained / "FakeGame" / "dreams"
        return folder, [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]

    return run


def test_a_dream_is_written_as_videos_and_json(dream, dataset):
    folder, (_, metadata) = dream("count=2", "horizon=5", "context=3", "scale=3")
    with av.open(str(folder / "dream_01.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 15
    assert len(frames) == 8 and frames[0].shape[0] % 2 == 0 and frames[0].shape[1] % 2 == 0
    with Image.open(folder / "dream_01.gif") as gif:
        assert gif.n_frames == 8  # pyright: ignore[reportAttributeAccessIssue]
    (one,) = metadata["dreams"]
    assert len(one["actions"]) == len(one["rewards"]) == len(one["ends"]) == 5
    assert one["action_names"] == [("NOOP", "RIGHT", "LEFT")[a] for a in one["actions"]]
    assert metadata["seed"] == 0 and metadata["tokenizer"] and metadata["world_model"]
    # The left panel is the true frame, enlarged.
    held = EpisodeDataset(dataset, "heldout")
    index = [info.id for info in held.infos].index(metadata["episode"])
    true = held.read_frames(*held.frame_starts[index : index + 2])[metadata["first_frame"]]
    shown = frames[0][44 : 44 + 48 : 3, 8 : 8 + 96 : 3].astype(int)
    assert np.abs(shown - true).mean() < 12


def test_the_same_seed_writes_the_same_dream(dream, trained):
    videos = []
    for seed, out in ((1, "a"), (1, "b"), (2, "c")):
        dream(f"seed={seed}", f"out={trained / out}", "top_k=null", "count=1", "horizon=8")
        videos.append((trained / out / "dream_00.mp4").read_bytes())
    assert videos[0] == videos[1] != videos[2]


def test_what_if_dreams_one_start_under_each_action(dream):
    folder, (metadata,) = dream(
        "what_if=[RIGHT,left]", "count=1", "horizon=6", "samples=2", "top_k=null"
    )
    actions = [one["action_names"] for one in metadata["dreams"]]
    assert actions == [["RIGHT"] * 6] * 2 + [["LEFT"] * 6] * 2
    assert "real_rewards" not in metadata
    with av.open(str(folder / "what_if_00.mp4")) as video:
        assert video.streams.video[0].width >= 4 * 32 * 4  # Four panels.


def test_what_if_takes_sequences(dream):
    _, (metadata,) = dream('what_if=[RIGHT,"(LEFT,NOOP*2)*2"]', "count=1", "horizon=7")
    assert [one["actions"] for one in metadata["dreams"]] == [[1] * 7, [2, 0, 0, 2, 0, 0, 0]]
    assert metadata["what_if"] == ["RIGHT", "(LEFT,NOOP*2)*2"]


def test_a_dream_can_be_repeated_from_its_json(dream):
    _, (*_, last) = dream("horizon=4", "count=3", "seed=5")
    start = f"start='{last['episode']}:{last['first_frame']}'"
    _, (again, *_) = dream("horizon=4", start, "count=3")
    assert {**again, "seed": 5} == last


def test_without_a_horizon_a_dream_is_as_long_as_the_episodes_allow(dream, dataset, capsys):
    longest = max(info.num_steps for info in EpisodeDataset(dataset, "heldout").infos) + 1
    _, (metadata,) = dream("count=1")
    assert len(metadata["dreams"][0]["actions"]) == longest - 4 < 60
    note = f"note: horizon={longest - 4} in the place of 60: the longest held-out episode has"
    assert f"{note} {longest} frames" in capsys.readouterr().err
    # Actions that nobody took need no episode.
    _, (metadata,) = dream("count=1", "actions=RIGHT")
    assert len(metadata["dreams"][0]["actions"]) == 60
    with pytest.raises(ValueError, match="horizon: expected a whole number of at least 1, got 0"):
        dream("horizon=0")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("test-0001", "start: expected EPISODE:FRAME, got 'test-0001'"),
        ("'test-9999:0'", "start: .* 'test-9999'"),
        ("'NAME:10'", "start: .* expected at most 7, got 10"),
    ],
)
def test_starts_that_are_not_there_are_named(dream, dataset, start, message):
    name = EpisodeDataset(dataset, "heldout").infos[0].id
    with pytest.raises(ValueError, match=message):
        dream(f"start={start.replace('NAME', name)}", "horizon=2")


def test_typed_actions_are_dreamt_beyond_the_end_of_the_episode(dream):
    _, (metadata,) = dream("actions='RIGHT*2,LEFT'", "count=1", "horizon=30")
    assert metadata["dreams"][0]["actions"] == [1, 1] + [2] * 28


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("horizon=40", "44 frames"),
        ("context=5", "context_tokens: expected at most 4 frames, .* got 5"),
        ("count=0", "count: expected a whole number of at least 1, got 0"),
        ("temperature=0", "temperature: expected"),
        ("run=nothing", "nothing: no such folder"),
    ],
)
def test_wrong_settings_are_named(dream, option, message):
    with pytest.raises(ValueError, match=message):
        dream("horizon=4", option)


def test_models_of_other_tokenizers_and_games_are_refused(
    dream, dataset, tokenizer_folder, new_tokenizer
):
    text = (dataset / "dataset.json").read_text()
    assert '"LEFT"' in text
    tree = json.loads(text.replace('"LEFT"', '"LEFT", "UP"'))
    del tree["digest"]  # Changed on purpose.
    (dataset / "dataset.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="3 .*4"):
        dream()
    new_tokenizer(seed=3).save_pretrained(tokenizer_folder / "export")
    with pytest.raises(ValueError, match="tokenizer"):
        dream()


def reads_frames(num_actions):
    """A policy for the command line: RIGHT where the frame is bright, else LEFT."""

    def act(frame):
        assert frame.shape == (16, 32, 3) and frame.dtype == np.uint8 and num_actions == 3
        return 1 if frame.mean() > 127 else 2

    return act


def counts_tokens():
    def act(tokens):
        assert tokens.shape == (8,) and tokens.dtype == np.int64
        return int(tokens.sum()) % 3

    return act


def plays_too_high():
    return lambda frame: 3


@pytest.fixture
def own_policies(monkeypatch):
    """Lets `policy._target_` name a function of this file."""
    monkeypatch.setattr(
        "worldtokens.collect.policies.policy.resolve_name", lambda dotted: globals()[dotted]
    )


def test_a_policy_plays_in_every_sample(dream):
    options = ("policy=random", "samples=3", "top_k=null", "count=1", "horizon=6")
    _, (metadata,) = dream(*options)
    actions = [tuple(one["actions"]) for one in metadata["dreams"]]
    assert len(set(actions)) == 3 and metadata["policy"]["name"] == "random"
    assert "real_rewards" not in metadata
    _, (again,) = dream(*options)
    assert again == metadata


@pytest.mark.parametrize(
    ("name", "observation"), [("reads_frames", "frames"), ("counts_tokens", "tokens")]
)
def test_any_function_plays(dream, name, observation, own_policies):
    _, (metadata,) = dream(
        f"+policy._target_={name}", f"observation={observation}", "count=1", "horizon=6"
    )
    (one,) = metadata["dreams"]
    assert set(one["actions"]) <= {0, 1, 2} and len(one["actions"]) == 6


def test_an_action_out_of_range_is_named(dream, own_policies):
    with pytest.raises(ValueError, match=r"actions: expected values in \[0, 3\), got 3"):
        dream("+policy._target_=plays_too_high", "count=1", "horizon=6")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("policy=random", "actions=random"), "policy: expected neither .* got actions=random"),
        (("policy=random", "what_if=[LEFT]"), "policy: expected neither .* what_if=..LEFT"),
        (("what_if=[LEFT]", "actions=random"), "what_if: expected actions=data beside it"),
        (("policy=go_explore",), "policy: expected random, .* got go_explore, .* an emulator"),
        (("policy=random", "observation=ram"), "observation: expected one of .* got 'ram'"),
        (("+policy._target_=no.such",), "policy._target_: .*no.such"),
        (("policy=stable_baselines3",), "policy.checkpoint"),
        (("policy=stable_baselines3", "policy.checkpoint=no.zip"), "no.zip"),
    ],
)
def test_wrong_policies_are_named(dream, more, message):
    with pytest.raises(ValueError, match=message):
        dream("count=1", "horizon=6", *more)


def test_a_player_who_leaves_is_said(dream, monkeypatch):
    class Leaves:
        def begin(self, rng):
            pass

        def act(self, frame):
            raise PolicyStopped

    monkeypatch.setattr(imagine, "make_policy", lambda *arguments: Leaves())
    with pytest.raises(ValueError, match="policy: expected actions to the end .* player left"):
        dream("policy=random", "count=1", "horizon=6")


def test_dreams_start_before_events(dream):
    _, dreams = dream("event=reward", "lead=2", "count=2", "horizon=2", "context=2")
    assert dreams and all(one["real_rewards"][1] != 0 for one in dreams)


def test_an_event_and_a_start_exclude_each_other(dream):
    with pytest.raises(ValueError, match="event: expected no start= beside it, got start=a:1"):
        dream("event=reward", "start=a:1")
