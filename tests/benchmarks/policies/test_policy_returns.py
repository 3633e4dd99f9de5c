"""Returns of policies in the game and in the dream, by value."""

import numpy as np
import pytest
import torch
from policy_returns import (
    History,
    Moment,
    Player,
    Terms,
    moments_after_resets,
    moments_at_states,
    returns_in_dream,
    returns_in_game,
)
from torch.distributions import Categorical

from worldtokens.envs import fake_game, make_env
from worldtokens.tokenizer import Tokenizer

NOOP, RIGHT, LEFT = 0, 3, 4
SIZE = {"frame_height": 32, "frame_width": 32}


class Holds:
    """Holds an action; notes what it read."""

    def __init__(self, action, stack=2):
        self.action, self.stack, self.seen = action, stack, []

    def __call__(self, tokens):
        self.seen.append(tokens.clone())
        logits = torch.full((len(tokens), 6), -1e9)
        logits[:, self.action] = 0.0
        return Categorical(logits=logits), torch.zeros(len(tokens))


@pytest.fixture
def tokenizer(tokenizer_folder):
    return Tokenizer.from_pretrained(tokenizer_folder)


def set_head(head, first, second):
    """Lets the head of two classes predict with these logits, whatever it reads."""
    with torch.no_grad():
        head[-1].weight.zero_()
        head[-1].bias.copy_(torch.tensor([first, second]))


@pytest.fixture
def moments(tokenizer):
    """Beside the key, 5 steps away from it, and beside the guard."""
    found = []
    places = ((1, 106, 150, 40), (1, 72, 150, 40), (0, 74, 110, 100))
    for room, x, y, guard in places:
        env = make_env("FakeGame", **SIZE)
        frames = [env.reset(seed=0)[0], env.step(NOOP)[0]]
        ram = env._emulator._ram
        ram[fake_game.ROOM], ram[fake_game.PLAYER_X], ram[fake_game.PLAYER_Y] = room, x, y
        ram[fake_game.GUARD_Y] = guard
        env._builder.reset()
        tokens = tokenizer.encode(np.stack(frames)).numpy()
        found.append(Moment(env.get_state(), tokens, np.array([NOOP])))
    return found


def play(player, moments, tokenizer, **terms):
    envs = [make_env("FakeGame", **SIZE) for _ in moments]
    return returns_in_game(player, moments, envs, tokenizer, Terms(**terms)).tolist()


def test_what_the_game_pays(moments, tokenizer):
    assert play(Player("", Holds(RIGHT)), moments, tokenizer, horizon=1) == [100.0, 0.0, 0.0]
    assert play(Player("", Holds(RIGHT)), moments, tokenizer, horizon=12) == [100.0, 100.0, 0.0]
    assert play(Player("", Holds(NOOP)), moments, tokenizer, horizon=12) == [0.0, 0.0, 0.0]


def test_a_lost_life_may_end_it(moments, tokenizer):
    class DiesThenScores(Holds):
        """Walks into the guard; later, the life lost, it is put beside the key."""

        def __call__(self, tokens):
            if len(self.seen) == 3:
                ram = envs[0]._emulator._ram
                lives.append(int(ram[fake_game.LIVES]))
                ram[fake_game.ROOM], ram[fake_game.PLAYER_X], ram[fake_game.PLAYER_Y] = 1, 106, 150
            return super().__call__(tokens)

    for ends, expected in ((False, [100.0]), (True, [0.0])):
        envs, lives = [make_env("FakeGame", **SIZE)], []
        player = Player("", DiesThenScores(RIGHT))
        terms = Terms(horizon=6, life_loss_ends=ends)
        paid = returns_in_game(player, moments[2:], envs, tokenizer, terms).tolist()
        assert paid == expected
        assert lives == ([2] if not ends else [])


def test_policies_read_the_last_frames_in_both_worlds(moments, tokenizer, model):
    set_head(model.network.end_head, 50.0, -50.0)
    known = torch.from_numpy(np.stack([moment.tokens for moment in moments]))
    for stack in (1, 2, 3):
        in_game, in_dream = Holds(RIGHT, stack), Holds(RIGHT, stack)
        play(Player("", in_game), moments, tokenizer, horizon=3)
        returns_in_dream(Player("", in_dream), moments, model, Terms(horizon=3))
        expected = {1: known[:, 1:], 2: known, 3: torch.cat((known[:, :1], known), 1)}[stack]
        for agent in (in_game, in_dream):
            assert len(agent.seen) == 3 and torch.equal(agent.seen[0], expected)
            for before, after in zip(agent.seen, agent.seen[1:], strict=False):
                assert torch.equal(after[:, :-1], before[:, 1:])
    env = make_env("FakeGame", **SIZE)
    env.restore_state(moments[0].state)
    frame = env.step(RIGHT)[0]
    assert torch.equal(in_game.seen[1][0, -1], tokenizer.encode(frame))


def test_what_dreams_pay(moments, model):
    set_head(model.network.reward_head, -50.0, 50.0)
    set_head(model.network.end_head, 50.0, -50.0)
    player = Player("", Holds(RIGHT))
    assert returns_in_dream(player, moments, model, Terms(7)).tolist() == [700.0] * 3
    # The step that ends a dream pays, what follows does not.
    set_head(model.network.end_head, -50.0, 50.0)
    assert returns_in_dream(player, moments, model, Terms(7)).tolist() == [100.0] * 3


def test_shares_of_random_actions():
    noise = np.arange(1200) / 1200
    known, actions = (torch.zeros(1200, *shape, dtype=torch.int64) for shape in ((2, 4), (1,)))
    history = History(known, actions, 2)
    counts = np.bincount(Player("", Holds(RIGHT), 0.6).act(history, noise), minlength=6)
    assert np.abs(counts - [120, 120, 120, 600, 120, 120]).max() <= 1
    assert set(Player("", Holds(LEFT)).act(history, noise).tolist()) == {LEFT}


def test_policies_may_read_the_last_action_in_both_worlds(moments, tokenizer, model):
    class Alternates(Holds):
        """Goes where it did not go before."""

        reads_last_action = True

        def __call__(self, tokens, last):
            read.append(last.tolist())
            logits = torch.full((len(tokens), 6), -1e9)
            logits[torch.arange(len(last)), torch.where(last == RIGHT, LEFT, RIGHT)] = 0.0
            return Categorical(logits=logits), torch.zeros(len(tokens))

    set_head(model.network.end_head, 50.0, -50.0)
    expected = [[NOOP] * 3, [RIGHT] * 3, [LEFT] * 3]
    read = []
    play(Player("", Alternates(RIGHT)), moments[1:2] * 3, tokenizer, horizon=3)
    assert read == expected
    read = []
    returns_in_dream(Player("", Alternates(RIGHT)), moments, model, Terms(horizon=3))
    assert read == expected


def test_histories_repeat_the_first_frame():
    known = torch.tensor([[[1], [2]]])
    history = History(known, torch.tensor([[RIGHT]]), 4)
    assert history.last.tolist() == [RIGHT]
    assert history.frames[0, :, 0].tolist() == [1, 1, 1, 2]
    history.add(torch.tensor([[3]]))
    assert history.frames[0, :, 0].tolist() == [1, 1, 2, 3]
    alone = History(known, torch.zeros(1, 0, dtype=torch.int64), 1)
    assert alone.frames[0, :, 0].tolist() == [2] and alone.last.tolist() == [NOOP]


def test_moments_after_resets(tokenizer):
    env = make_env("FakeGame", **SIZE)
    moments = moments_after_resets(env, tokenizer, 4, 6, lead=10, seed=0)
    again = moments_after_resets(env, tokenizer, 4, 6, lead=10, seed=0)
    steps = [moment.state.steps for moment in moments]
    assert min(steps) >= 3 and max(steps) <= 13 and len(set(steps)) > 2
    for one, other in zip(moments, again, strict=True):
        assert one.state.to_bytes() == other.state.to_bytes()
        assert one.tokens.shape[0] == 4 and one.actions.shape == (3,)
        assert one.tokens[-1].tolist() == tokenizer.encode(one.state.frame).tolist()
    with pytest.raises(ValueError, match="--lead: expected games that go on for so many steps"):
        short = make_env("FakeGame", max_episode_steps=2, **SIZE)
        moments_after_resets(short, tokenizer, 4, 2, lead=0, seed=0)


class Path:
    """The way to a saved state."""

    def __init__(self, seed):
        self.seed = seed

    def replay(self, env, count):
        frame, info = env.reset(seed=self.seed)
        for _ in range(count):
            frame, *_, info = env.step(RIGHT)
        return frame, info


class States:
    """Saved states behind the calls that `moments_at_states` makes."""

    def draw(self, count, rng):
        from worldtokens.world_model.evaluation.game.saved_states import SavedState

        return [SavedState("", Path(seed), 5) for seed in range(count)]

    def draw_near_rewards(self, count, steps, rng):
        return [state for state in self.draw(count, rng) if state.path.seed == 1]


def test_moments_at_saved_states(tokenizer):
    env = make_env("FakeGame", **SIZE)
    moments = moments_at_states(States(), env, tokenizer, 4, 3, False, seed=0)
    assert [moment.state.steps for moment in moments] == [8, 8, 8]
    (near,) = moments_at_states(States(), env, tokenizer, 4, 3, True, seed=0)
    assert near.state.emulator != moments[0].state.emulator
