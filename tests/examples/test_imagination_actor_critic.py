"""The agent that learns in dreams: its parts by value, and a tiny run of all of it."""

import csv
import dataclasses

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def example(load_example):
    return load_example("imagination_actor_critic")


@pytest.fixture
def arguments(example, tmp_path):
    return example.parse(
        f"--game FakeGame --out {tmp_path} --epochs 2 --steps 60 --more-steps 20 --frame-skip 1 "
        "--hold 3 --codes 16 --decoder-steps 1 --model-steps 2 --more-model-steps 1 --dreams 2 "
        "--num-envs 2 --horizon 3 --episodes 2 --episode-steps 25".split()
    )


def test_advantages_by_hand(example):
    rewards = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    values = torch.tensor([[1.0, 0.5], [3.0, 4.0], [5.0, 6.0]])
    # The second game ended with its first step.
    not_done = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    advantages = example.generalized_advantages(rewards, values, not_done)
    last = 2.0 + 0.99 * 5.0 - 3.0
    assert advantages[1, 0].item() == pytest.approx(last)
    assert advantages[0, 0].item() == pytest.approx(0.99 * 3.0 - 1.0 + 0.99 * 0.95 * last)
    assert advantages[0, 1].item() == pytest.approx(1.0 - 0.5)


def make_dream(example, agent, tokens, actions, advantages, alive):
    with torch.no_grad():
        logits, values = agent(tokens.flatten(0, 1))
    before = torch.distributions.Categorical(logits=logits).log_prob(actions.flatten())
    zeros = torch.zeros_like(advantages)
    return example.Dream(
        tokens,
        actions,
        before.view_as(actions),
        zeros,
        alive,
        advantages,
        values.view_as(actions) + advantages,
    )


def test_the_loss_prefers_what_paid_and_ignores_what_came_after_the_end(example):
    torch.manual_seed(0)
    agent = example.Agent(torch.randn(8, 3), 2, 2)
    tokens = torch.randint(8, (4, 3, 2))
    actions = torch.randint(2, (4, 3))
    advantages = torch.where(actions == 1, 1.0, -1.0)
    alive = torch.ones(4, 3)
    alive[2:, 0] = 0.0
    batch = make_dream(example, agent, tokens, actions, advantages, alive)
    corrupted = dataclasses.replace(batch, advantages=batch.advantages.clone())
    corrupted.advantages[2:, 0] = 1e6
    optimizer = torch.optim.Adam(agent.parameters(), 1e-2)
    loss = example.actor_critic_loss(agent, batch)
    assert loss.item() == example.actor_critic_loss(agent, corrupted).item()
    before = agent(tokens.flatten(0, 1))[0].softmax(-1)[:, 1].mean().item()
    for _ in range(5):
        example.update(optimizer, example.actor_critic_loss(agent, batch), agent, 0.5)
    assert agent(tokens.flatten(0, 1))[0].softmax(-1)[:, 1].mean().item() > before + 0.02


class Countdown:
    """Two dreams behind the calls that `dream` makes: the first one ends with its second step."""

    num_envs = 2

    def reset(self):
        self.steps = 0
        return self._tokens(), {}

    def step(self, actions):
        self.steps += 1
        ended = np.array([self.steps == 2, False])
        return self._tokens(), np.array([1.0, 2.0]), ended, np.zeros(2, bool), {}

    def _tokens(self):
        return np.full((2, 3), self.steps)


def test_a_dream_is_recorded_until_its_end(example):
    agent = example.Agent(torch.randn(8, 3), 3, 2)
    batch = example.dream(agent, Countdown(), 3)
    assert batch.tokens[:, 0, 0].tolist() == [0, 1, 2]
    assert batch.alive.tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    assert batch.rewards.tolist() == [[1.0, 2.0]] * 3
    # The step that ended the game is worth its reward and nothing that follows.
    value = agent(batch.tokens[1])[1]
    assert batch.returns[1, 0].item() == pytest.approx(1.0)
    assert batch.advantages[1, 0].item() == pytest.approx(1.0 - value[0].item(), abs=1e-6)


def test_random_actions_are_held(example, arguments):
    (first, *_) = example.collect(
        dataclasses.replace(arguments, hold=1e9), 24, np.random.default_rng(0)
    )
    assert len(set(first.actions.tolist())) == 1
    assert first.tokens.shape == (25, 64, 64, 3) and first.tokens.dtype == np.uint8
    assert first.truncated.tolist() == [False] * 23 + [True]


def test_a_tiny_run_of_the_whole_loop(example, arguments, tmp_path):
    rows = example.main(arguments)
    assert [row.epoch for row in rows] == [0, 1, 2]
    assert [row.real_steps for row in rows] == [60, 60, 80]
    assert [row.dream_steps for row in rows] == [0, 12, 24]
    with open(tmp_path / "FakeGame" / "seed_0.csv") as file:
        written = list(csv.DictReader(file))
    assert [float(row["score"]) for row in written] == [row.score for row in rows]
    assert (tmp_path / "FakeGame" / "curve.png").stat().st_size > 1000
    again = example.main(dataclasses.replace(arguments, epochs=1))
    assert [row.score for row in again] == [row.score for row in rows[:2]]
    assert again[1].dream_reward == rows[1].dream_reward
