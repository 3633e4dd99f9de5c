import numpy as np
import torch

from worldtokens.world_model import Sampling
from worldtokens.world_model.dreams.panels import has_same_actions, make_header, make_panels
from worldtokens.world_model.evaluation.open_loop import roll_out

GREEDY = Sampling(top_k=1)
NOOP, RIGHT, LEFT = range(3)


def test_dreams_with_different_actions_name_them_below_and_go_dark_after_the_end(loaded):
    actions = torch.tensor([[RIGHT, RIGHT, RIGHT], [LEFT, NOOP, LEFT]])
    start = (loaded.episodes[0], 4)
    open_loop = roll_out(loaded.model, [start], 2, 3, actions=actions, samples=2, sampling=GREEDY)
    open_loop.rollout.rewards.copy_(torch.tensor([[0.0, 100, 0], [0, 0, 0]]))
    open_loop.rollout.ends.copy_(torch.tensor([[False, True, False], [False, False, False]]))
    open_loop.rollout.lives_lost.copy_(torch.tensor([[False] * 3, [True, False, False]]))
    assert not has_same_actions(open_loop)
    assert make_header(open_loop, loaded.heldout.action_meanings)[2:] == [
        "step +1   ",
        "step +2   ",
        "step +3   ",
    ]
    first, second = make_panels(open_loop, loaded.heldout, loaded.tokenizer, ["a", "b"], False)
    assert first.captions == [
        "known frame", "known frame", "RIGHT  reward 0", "!RIGHT  reward 100  END",
        "RIGHT  reward 0",
    ]  # fmt: skip
    assert second.captions[2:] == [
        "!LEFT  reward 0  LIFE LOST", "NOOP  reward 0", "LEFT  reward 0",
    ]  # fmt: skip
    frames = loaded.tokenizer.decode(open_loop.rollout.tokens[0]).numpy()
    assert np.array_equal(first.frames[3], frames[1])
    assert np.array_equal(first.frames[4], frames[2] // 3)


def test_the_real_frames_and_their_reconstruction_stand_before_the_dream(loaded):
    episode, heldout = loaded.episodes[0], loaded.heldout
    open_loop = roll_out(loaded.model, [(episode, 4)], 2, 3, sampling=GREEDY)
    panels = make_panels(open_loop, heldout, loaded.tokenizer, ["imagined"], True)
    assert [panel.title for panel in panels] == ["real", "reconstruction", "imagined"]
    first = episode.first_frame + 4
    assert np.array_equal(panels[0].frames, heldout.read_frames(first, first + 5))
    tokens = episode.tokens[4:9].astype(np.int64)
    assert np.array_equal(panels[1].frames, loaded.tokenizer.decode(tokens).numpy())
    assert np.array_equal(panels[2].frames[:2], panels[1].frames[:2])
    # All dreams share the actions, so they stand in the header; one more leads to each frame.
    names = [heldout.action_meanings[action] for action in episode.actions[4:8]]
    assert has_same_actions(open_loop)
    assert make_header(open_loop, heldout.action_meanings) == [
        "step -1   ", f"step +0   {names[0]}", f"step +1   {names[1]}", f"step +2   {names[2]}",
        f"step +3   {names[3]}",
    ]  # fmt: skip
