"""An actor-critic that learns inside of a world model, and is evaluated in the real game.

    for seed in 0 1 2; do python examples/imagination_actor_critic.py --seed $seed; done

The loop of IRIS (Micheli, Alonso, Fleuret 2023): collect frames, train a tokenizer and a world
model, train the policy in `ImaginedVectorEnv`, collect with that policy, and so on. The policy
never learns from a real step, and reads tokens: dreams are not decoded.

Unlike IRIS, for a result within minutes on a CPU: the first epoch plays random actions that are
held for a while (uniformly random play scores 0 on Freeway), the tokenizer is trained in that epoch
only, a decision lasts 8 emulated frames, and the policy is a small network without memory, trained
by PPO's clipped loss, which uses each imagined frame several times.

Writes <out>/<game>/seed_<seed>.csv, a row per epoch, and curve.png over all seeds in that folder.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import make_vec
from matplotlib.figure import Figure
from numpy.random import Generator
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import trange

from worldtokens import (
    ImaginedVectorEnv,
    Tokenizer,
    TokenizerConfig,
    VectorTokenObservation,
    WorldModel,
    WorldModelConfig,
    make_env,
)
from worldtokens.common.devices import native_autocast_dtype
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode
from worldtokens.world_model.training.losses import world_model_loss
from worldtokens.world_model.training.optimizers import MuonAdamW
from worldtokens.world_model.training.token_sampling import sample_tokens

CONTEXT, SEGMENT = 4, 12  # frames that the world model sees; frames of a training window
SIZE: Any = dict(layers=3, heads=4, width=128, merge=2, history=2, copies=2)
DISCOUNT, LAMBDA, CLIP, ENTROPY = 0.99, 0.95, 0.2, 0.01


def option(default: Any, help: str) -> Any:
    """Declares a field of Arguments that is an option of the command line."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    game: str = option("Freeway", "the game's usual name")
    seed: int = option(0, "seed of everything random")
    out: str = option("runs/imagination_actor_critic", "folder of the results")
    epochs: int = option(3, "rounds of collecting, world model and dreams")
    steps: int = option(8_000, "real steps of the first epoch, of held random actions")
    more_steps: int = option(3_000, "real steps of each later epoch")
    frame_skip: int = option(8, "emulated frames per decision")
    hold: float = option(30.0, "steps for which a random action is held, on average")
    epsilon: float = option(0.3, "share of random stretches in later epochs")
    codes: int = option(1024, "size of the tokenizer's vocabulary")
    decoder_steps: int = option(200, "training steps of the tokenizer's decoder")
    model_steps: int = option(300, "training steps of the world model in the first epoch")
    more_model_steps: int = option(100, "and in each later one")
    dreams: int = option(25, "updates of the policy per epoch")
    num_envs: int = option(64, "dreams at once")
    horizon: int = option(20, "steps of a dream")
    episodes: int = option(8, "real episodes of an evaluation")
    episode_steps: int = option(2048, "longest real episode")
    device: str = option("cpu", "cpu, cuda ...")

    @property
    def env_settings(self) -> dict[str, Any]:
        """How the game is played; without its no-ops Freeway would always begin alike."""
        limit = self.episode_steps
        return {"frame_skip": self.frame_skip, "max_episode_steps": limit, "noop_max": 30}


@dataclass(frozen=True)
class Row:
    """A point of the learning curve; evaluations count neither as time nor as steps."""

    seed: int
    epoch: int  # 0 before the policy learned anything
    seconds: float
    real_steps: int
    dream_steps: int
    score: float  # mean unclipped score of real episodes
    score_deviation: float  # standard deviation over them
    random_score: float  # mean score of uniformly random play
    dream_reward: float  # mean of a dreamt step, over the last tenth of the epoch's dreams


class Agent(nn.Module):
    """Policy and value of tokens, int64 (n, K), which it reads as code vectors."""

    def __init__(self, codes: Tensor, num_tokens: int, num_actions: int):
        """Takes the tokenizer's code vectors, float32 (V, D), which are not trained."""
        super().__init__()
        self.codes: Tensor
        self.register_buffer("codes", codes / codes.std())
        self.project = nn.Linear(codes.shape[1], 16)
        self.hidden = nn.Linear(16 * num_tokens, 128)
        self.policy, self.value = nn.Linear(128, num_actions), nn.Linear(128, 1)
        for layer, gain in ((self.project, 1.4), (self.hidden, 1.4), (self.policy, 0.01)):
            nn.init.orthogonal_(layer.weight, gain)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits (n, actions) and values (n,)."""
        # Each code is projected once, not each token.
        x = F.embedding(tokens, F.relu(self.project(self.codes)))
        x = F.relu(self.hidden(x.flatten(1)))
        return self.policy(x), self.value(x)[:, 0]

    @torch.no_grad()
    def act(self, tokens: Tensor) -> Tensor:
        """Draws actions from the policy, int64 (n,)."""
        return torch.distributions.Categorical(logits=self(tokens)[0]).sample()


def collect(
    args: Arguments, steps: int, rng: Generator, act: Callable[[np.ndarray], int] | None = None
) -> list[TokenEpisode]:
    """Plays real steps in stretches: a random action is held, or `act` chooses one by the frame.

    Episodes have frames, uint8 (T + 1, height, width, 3), in the place of tokens, and the signs of
    the game's rewards.
    """
    env = make_env(args.game, **args.env_settings)
    episodes, left, held = [], 0, -1
    while steps > 0:
        frames, taken = [env.reset(seed=int(rng.integers(2**31)))[0]], []
        terminated = truncated = False
        while not (terminated or truncated):
            if left == 0:
                left = int(rng.geometric(1 / args.hold))
                is_random = act is None or rng.random() < args.epsilon
                held = int(rng.integers(len(env.action_meanings))) if is_random else -1
            left, steps = left - 1, steps - 1
            action = act(frames[-1]) if act and held < 0 else held
            frame, reward, terminated, truncated, _ = env.step(action)
            truncated = truncated or steps == 0
            frames.append(frame)
            taken.append((action, np.sign(reward), terminated, truncated))
        actions, rewards, ends, cuts = map(np.array, zip(*taken, strict=True))
        rewards = rewards.astype(np.float32)
        episodes.append(TokenEpisode("", np.stack(frames), actions, rewards, ends, cuts))
    return episodes


def tokenize(episodes: list[TokenEpisode], tokenizer: Tokenizer) -> list[TokenEpisode]:
    """Replaces the frames of episodes by their tokens."""
    return [replace(e, tokens=tokenizer.encode(e.tokens).cpu().numpy()) for e in episodes]


def fit_tokenizer(episodes: list[TokenEpisode], args: Arguments, rng: Generator) -> Tokenizer:
    """Clusters the patches of the frames, then trains the decoder."""
    frames = np.concatenate([episode.tokens for episode in episodes])
    config = TokenizerConfig(*frames.shape[1:3], codebook_size=args.codes)
    tokenizer = Tokenizer(config).to(args.device)
    tokenizer.start(torch.from_numpy(frames), torch.Generator().manual_seed(args.seed))
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 1e-3, weight_decay=0.0)
    for _ in trange(args.decoder_steps, desc="tokenizer", leave=False):
        batch = torch.from_numpy(frames[rng.integers(len(frames), size=16)])
        with autocast(tokenizer.device):
            output = tokenizer(batch.to(args.device))
        loss = (output.reconstruction.float() - output.target).abs().mean()
        update(optimizer, loss, tokenizer, 1.0)
    return tokenizer.eval()


def make_world_model(tokenizer: Tokenizer, codes: Tensor, agent: Agent, game: str) -> WorldModel:
    """Builds a small world model over the tokens of this tokenizer."""
    config = WorldModelConfig(
        **SIZE,
        context=CONTEXT,
        stay_gate=False,
        tokenizer=tokenizer.fingerprint,
        game=game,
        vocab_size=tokenizer.vocab_size,
        code_dim=codes.shape[1],
        grid=tokenizer.grid,
        num_actions=agent.policy.out_features,
        reward_values=[-1.0, 0.0, 1.0],
    )
    model = WorldModel(config).to(tokenizer.device)
    model.network.set_codes(codes)
    return model


def train_world_model(
    model: WorldModel, data: TokenDataset, optimizer: MuonAdamW, steps: int, rng: Generator
) -> None:
    """Trains it to predict the next frame, the reward and the end."""
    model.train()
    for step in trange(steps, desc="world model", leave=False):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 50, 2 * (1 - step / steps))
        segments = data.sample(8, SEGMENT, rng).to(model.device)
        sample = sample_tokens(segments, 0.25)
        with autocast(model.device):
            prediction = model(segments.tokens, segments.actions, sample.predict_mask)
        loss = world_model_loss(prediction, segments, model.reward_values, sample)
        update(optimizer, loss.total(), model, 1.0)
    model.eval()


def train_agent(agent: Agent, optimizer: Optimizer, env: ImaginedVectorEnv, dreams: int) -> float:
    """Alternates dreams and updates; returns the mean reward per step of the last tenth."""
    rewards = []
    for _ in trange(dreams, desc="dreams", leave=False):
        batch = dream(agent, env, env.horizon)
        rewards.append(float((batch.rewards * batch.alive).sum() / batch.alive.sum()))
        for _ in range(4):
            for rows in torch.randperm(batch.tokens.shape[1]).chunk(2):
                part = Dream(*(values[:, rows] for values in vars(batch).values()))
                update(optimizer, actor_critic_loss(agent, part), agent, 0.5)
    return float(np.mean(rewards[-max(1, len(rewards) // 10) :]))


@dataclass(frozen=True)
class Dream:
    """Dreams of n environments over T steps: tokens int64 (T, n, K), all others (T, n)."""

    tokens: Tensor
    actions: Tensor
    log_probabilities: Tensor  # of the actions when they were drawn
    rewards: Tensor
    alive: Tensor  # 1.0 up to the step that ended the game, then 0.0
    advantages: Tensor
    returns: Tensor


@torch.no_grad()
def dream(agent: Agent, env: ImaginedVectorEnv, horizon: int) -> Dream:
    """Starts all environments anew and lets the agent act in them."""
    observations, device = env.reset()[0], agent.codes.device
    steps, values, alive = [], [], torch.ones(env.num_envs, device=device)
    for _ in range(horizon):
        tokens = torch.from_numpy(observations).to(device)
        logits, value = agent(tokens)
        policy = torch.distributions.Categorical(logits=logits)
        actions = policy.sample()
        observations, rewards, ended, _, _ = env.step(actions.cpu().numpy())
        rewards, ended = (torch.from_numpy(array).to(device).float() for array in (rewards, ended))
        steps.append((tokens, actions, policy.log_prob(actions), rewards, alive))
        values.append(value)
        alive = alive * (1 - ended)
    values.append(agent(torch.from_numpy(observations).to(device))[1])
    tokens, actions, log_probabilities, rewards, lived = map(torch.stack, zip(*steps, strict=True))
    not_done, values = torch.cat((lived[1:], alive[None])), torch.stack(values)
    advantages = generalized_advantages(rewards, values, not_done)
    returns = advantages + values[:-1]
    return Dream(tokens, actions, log_probabilities, rewards, lived, advantages, returns)


def generalized_advantages(rewards: Tensor, values: Tensor, not_done: Tensor) -> Tensor:
    """Computes GAE (arXiv:1506.02438) of rewards (T, n), values (T + 1, n), not_done (T, n)."""
    advantages, later = [], torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        td_error = rewards[t] + DISCOUNT * values[t + 1] * not_done[t] - values[t]
        later = td_error + DISCOUNT * LAMBDA * not_done[t] * later
        advantages.append(later)
    return torch.stack(advantages[::-1])


def actor_critic_loss(agent: Agent, batch: Dream) -> Tensor:
    """Computes PPO's loss (arXiv:1707.06347): clipped objective, value error, entropy bonus."""
    alive = batch.alive.flatten() > 0
    flat = Dream(*(values.flatten(0, 1)[alive] for values in vars(batch).values()))
    logits, values = agent(flat.tokens)
    policy = torch.distributions.Categorical(logits=logits)
    ratio = (policy.log_prob(flat.actions) - flat.log_probabilities).exp()
    spread = flat.advantages.std(correction=0) + 1e-6
    advantages = (flat.advantages - flat.advantages.mean()) / spread
    clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
    actor = -torch.minimum(ratio * advantages, clipped * advantages).mean()
    critic = (values - flat.returns).square().mean()
    return actor + 0.5 * critic - ENTROPY * policy.entropy().mean()


def evaluate(args: Arguments, tokenizer: Tokenizer, agent: Agent | None) -> np.ndarray:
    """Returns scores of real episodes, float64 (episodes,); of random play without an agent."""
    name, count = f"worldtokens.envs:worldtokens/{args.game}", args.episodes
    env = VectorTokenObservation(make_vec(name, count, "sync", **args.env_settings), tokenizer)
    env.action_space.seed(args.seed)
    tokens, _ = env.reset(seed=1_000_000 + 1000 * args.seed)
    scores, playing = np.zeros(count), np.ones(count, bool)
    while playing.any():
        actions = env.action_space.sample()
        if agent is not None:
            actions = agent.act(torch.from_numpy(tokens).to(tokenizer.device)).cpu().numpy()
        tokens, rewards, terminated, truncated, _ = env.step(actions)
        scores += np.where(playing, rewards, 0.0)
        playing &= ~(terminated | truncated)
    env.close()
    return scores


def update(optimizer: Optimizer, loss: Tensor, model: nn.Module, largest: float) -> None:
    """Takes one optimizer step with a gradient whose norm is at most `largest`."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), largest)
    optimizer.step()


def autocast(device: torch.device) -> torch.autocast:
    """Returns a context of bfloat16 where the device multiplies it in hardware."""
    dtype = native_autocast_dtype(device)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def main(args: Arguments) -> list[Row]:
    """Runs all epochs; writes and returns the learning curve."""
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    started, rows, dream_reward, random_score = time.monotonic(), [], 0.0, 0.0
    episodes = collect(args, args.steps, rng)
    tokenizer = fit_tokenizer(episodes, args, rng)
    episodes = tokenize(episodes, tokenizer)
    every = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    codes = tokenizer.embed(every.expand(-1, tokenizer.tokens_per_frame))[:, 0]
    num_actions = len(make_env(args.game).action_meanings)
    agent = Agent(codes, tokenizer.tokens_per_frame, num_actions).to(tokenizer.device)
    agent_optimizer = torch.optim.Adam(agent.parameters(), 1e-3, eps=1e-5)

    def act(frame: np.ndarray) -> int:
        return int(agent.act(tokenizer.encode(frame[None]))[0])

    model = make_world_model(tokenizer, codes, agent, args.game)
    model_optimizer = MuonAdamW(model, 2e-3, 0.01)
    for epoch in range(args.epochs + 1):
        if epoch > 1:
            episodes += tokenize(collect(args, args.more_steps, rng, act), tokenizer)
        if epoch > 0:
            data = TokenDataset(episodes)
            steps = args.model_steps if epoch == 1 else args.more_model_steps
            train_world_model(model, data, model_optimizer, steps, rng)
            sizes = args.num_envs, args.horizon
            env = ImaginedVectorEnv(
                model, tokenizer, data, *sizes, context=CONTEXT, observation="tokens"
            )
            env.reset(seed=100_000 * args.seed + 1000 * epoch)
            dream_reward = train_agent(agent, agent_optimizer, env, args.dreams)
        seconds = time.monotonic() - started
        scores = evaluate(args, tokenizer, agent)
        if epoch == 0:
            random_score = float(evaluate(args, tokenizer, None).mean())
        started = time.monotonic() - seconds
        dream_steps = epoch * args.dreams * args.num_envs * args.horizon
        counts = round(seconds, 1), sum(map(len, episodes)), dream_steps
        mean, deviation = float(scores.mean()), float(scores.std())
        rows.append(Row(args.seed, epoch, *counts, mean, deviation, random_score, dream_reward))
        print(", ".join(f"{name} {value:g}" for name, value in vars(rows[-1]).items()))
        write_curve(Path(args.out) / args.game, rows)
    return rows


def write_curve(folder: Path, rows: list[Row]) -> None:
    """Writes this seed's CSV, and a plot of the curves of all seeds in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"seed_{rows[0].seed}.csv", "w", newline="") as file:
        csv.writer(file).writerows([vars(rows[0]), *(vars(row).values() for row in rows)])
    axes = (figure := Figure(figsize=(6, 4))).subplots()
    for path in sorted(folder.glob("seed_*.csv")):
        curve = np.genfromtxt(path, delimiter=",", names=True, ndmin=1)
        (line,) = axes.plot(curve["dream_steps"], curve["score"], marker="o", label=path.stem)
        axes.axhline(curve["random_score"][0], color=line.get_color(), linestyle=":")
    axes.set(title=folder.name, xlabel="imagined steps", ylabel="real score (dotted: random play)")
    axes.legend()
    figure.savefig(folder / "curve.png", bbox_inches="tight")


def parse(words: list[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for each in fields(Arguments):
        name, default = f"--{each.name.replace('_', '-')}", each.default
        parser.add_argument(name, type=type(default), default=default, **each.metadata)
    return Arguments(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
