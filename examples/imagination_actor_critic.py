"""An actor-critic that learns inside of a world model, and is judged in the real game.

    for seed in 0 1 2; do python examples/imagination_actor_critic.py --seed $seed; done

The loop of IRIS (Micheli, Alonso, Fleuret 2023): collect frames, train a tokenizer and a world
model, train the policy in `ImaginedVectorEnv`, collect with that policy, and so on. The policy
never learns from a real step, and reads tokens: dreams are not decoded.

Other than IRIS, for a result within minutes on a CPU: the first epoch plays random actions that
are held for a while (uniformly random play scores 0 on Freeway), the tokenizer is fitted in that
epoch only, a decision lasts 8 emulated frames, and the policy is a small network without memory,
trained by PPO's clipped loss, which uses each dreamt frame several times.

Writes <out>/<game>/seed_<seed>.csv, a row per epoch, and curve.png over all seeds in that folder.
"""

import argparse
import csv
import dataclasses
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import trange

from worldtokens import envs
from worldtokens.common.devices import native_autocast_dtype
from worldtokens.envs import make_env
from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.wrappers import VectorTokenObservation
from worldtokens.world_model import ImaginedVectorEnv, WorldModel, WorldModelConfig
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode
from worldtokens.world_model.losses import sample_tokens, world_model_loss
from worldtokens.world_model.optimizers import MuonAdamW

CONTEXT, SEGMENT = 4, 12  # frames that the world model sees; frames of a training window
DISCOUNT, LAMBDA, CLIP, ENTROPY = 0.99, 0.95, 0.2, 0.01


@dataclass(frozen=True)
class Arguments:
    """The command line: each field is an option."""

    game: str = "Freeway"
    seed: int = 0
    out: str = "runs/imagination_actor_critic"
    epochs: int = 3  # rounds of collecting, world model and dreams
    steps: int = 8_000  # real steps of the first epoch, of random held actions
    more_steps: int = 3_000  # real steps of each later epoch
    frame_skip: int = 8
    hold: float = 30.0  # steps for which a random action is held, on average
    epsilon: float = 0.3  # share of such stretches in later epochs; the others are the agent's
    codes: int = 1024  # size of the tokenizer's vocabulary
    decoder_steps: int = 200  # training steps of the tokenizer's decoder
    model_steps: int = 300  # training steps of the world model in the first epoch
    more_model_steps: int = 100  # and in each later one
    dreams: int = 25  # updates of the policy per epoch
    num_envs: int = 64  # dreams at once
    horizon: int = 20  # steps of a dream
    episodes: int = 8  # real episodes of an evaluation
    episode_steps: int = 2048
    device: str = "cpu"

    @property
    def settings(self) -> dict[str, Any]:
        """How the game is played; without its no-ops Freeway would always begin alike."""
        skip, limit = self.frame_skip, self.episode_steps
        return {"frame_skip": skip, "max_episode_steps": limit, "noop_max": 30}


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
    """Policy and value of tokens, int64 (n, K), by way of their code vectors."""

    def __init__(self, codes: Tensor, num_tokens: int, num_actions: int):
        """`codes` are the tokenizer's code vectors, float32 (V, D); they are not trained."""
        super().__init__()
        self.codes: Tensor
        self.register_buffer("codes", codes / codes.std())
        self.place = nn.Linear(codes.shape[1], 16)
        self.hidden = nn.Linear(16 * num_tokens, 128)
        self.policy, self.value = nn.Linear(128, num_actions), nn.Linear(128, 1)
        for layer, gain in ((self.place, 1.4), (self.hidden, 1.4), (self.policy, 0.01)):
            nn.init.orthogonal_(layer.weight, gain)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, actions) and values (n,)."""
        # Each code is projected once, not each token.
        places = F.embedding(tokens, F.relu(self.place(self.codes)))
        x = F.relu(self.hidden(places.flatten(1)))
        return self.policy(x), self.value(x)[:, 0]

    @torch.no_grad()
    def act(self, tokens: Tensor) -> Tensor:
        """Actions drawn from the policy, int64 (n,)."""
        return torch.distributions.Categorical(logits=self(tokens)[0]).sample()


def collect(
    arguments: Arguments, steps: int, rng: np.random.Generator,
    tokenizer: Tokenizer | None = None, agent: Agent | None = None,
) -> list[TokenEpisode]:  # fmt: skip
    """Plays real steps in stretches; in each either the agent acts or a random action is held.

    The episodes' `tokens` still are frames, uint8 (T + 1, height, width, 3), and of the rewards
    they keep the signs.
    """
    env = make_env(arguments.game, **arguments.settings)
    made, left, held = [], 0, None
    while steps > 0:
        frames, taken = [env.reset(seed=int(rng.integers(2**31)))[0]], []
        ended = cut_off = False
        while not (ended or cut_off):
            if left == 0:
                left = int(rng.geometric(1 / arguments.hold))
                is_random = agent is None or rng.random() < arguments.epsilon
                held = int(rng.integers(env.action_space.n)) if is_random else None  # pyright: ignore
            left, steps, action = left - 1, steps - 1, held
            if action is None:
                assert agent and tokenizer
                action = int(agent.act(tokenizer.encode(frames[-1][None]))[0])
            frame, reward, ended, cut_off, _ = env.step(action)
            frames.append(frame)
            taken.append((action, np.sign(reward), ended, cut_off or steps == 0))
            cut_off = cut_off or steps == 0
        actions, rewards, ends, cuts = (np.array(values) for values in zip(*taken, strict=True))
        made.append(
            TokenEpisode("", np.stack(frames), actions, rewards.astype(np.float32), ends, cuts)
        )
    return made


def tokenize(episodes: list[TokenEpisode], tokenizer: Tokenizer) -> list[TokenEpisode]:
    """Puts tokens in the place of frames."""
    tokens = (tokenizer.encode(episode.tokens).cpu().numpy() for episode in episodes)
    return [dataclasses.replace(e, tokens=t) for e, t in zip(episodes, tokens, strict=True)]


def fit_tokenizer(
    episodes: list[TokenEpisode], arguments: Arguments, rng: np.random.Generator
) -> Tokenizer:
    """Clusters the patches of the frames, then trains the decoder that makes frames of them."""
    frames = np.concatenate([episode.tokens for episode in episodes])
    height, width, _ = frames.shape[1:]
    config = TokenizerConfig(height, width, codebook_size=arguments.codes)
    tokenizer = Tokenizer(config).to(arguments.device)
    tokenizer.start(torch.from_numpy(frames), torch.Generator().manual_seed(arguments.seed))
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 1e-3, weight_decay=0.0)
    for _ in trange(arguments.decoder_steps, desc="tokenizer", leave=False):
        batch = torch.from_numpy(frames[rng.integers(len(frames), size=16)])
        with autocast(tokenizer.device):
            output = tokenizer(batch.to(arguments.device))
        loss = (output.reconstruction.float() - output.target).abs().mean()
        update(optimizer, loss, tokenizer, 1.0)
    return tokenizer.eval()


def make_world_model(tokenizer: Tokenizer, codes: Tensor, agent: Agent, game: str) -> WorldModel:
    """A small world model over the tokens of this tokenizer."""
    config = WorldModelConfig(
        context=CONTEXT, layers=3, heads=4, width=128, merge=2, history=2, copies=2,
        stay_gate=False, tokenizer=tokenizer.fingerprint, game=game,
        vocab_size=tokenizer.vocab_size, code_dim=codes.shape[1], grid=tokenizer.grid,
        num_actions=agent.policy.out_features, reward_values=[-1.0, 0.0, 1.0],
    )  # fmt: skip
    model = WorldModel(config).to(tokenizer.device)
    model.network.set_codes(codes)
    return model


def train_world_model(
    model: WorldModel, data: TokenDataset, optimizer: MuonAdamW, steps: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Learns to predict the next frame, the reward and the end."""
    model.train()
    for step in trange(steps, desc="world model", leave=False):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 50, 2 * (1 - step / steps))
        segments = data.sample(8, SEGMENT, rng).to(model.device)
        asked = sample_tokens(segments, 0.25)
        with autocast(model.device):
            prediction = model(segments.tokens, segments.actions, asked.predict_mask)
        loss = world_model_loss(prediction, segments, model.reward_values, asked)
        update(optimizer, loss.total, model, 1.0)
    model.eval()


def train_in_dreams(
    agent: Agent, optimizer: Optimizer, env: ImaginedVectorEnv, arguments: Arguments
) -> float:
    """Dreams and learns by turns; returns the mean reward per step of the last tenth."""
    rewards = []
    for _ in trange(arguments.dreams, desc="dreams", leave=False):
        dreamt = dream(agent, env, arguments.horizon)
        rewards.append(float((dreamt.rewards * dreamt.alive).sum() / dreamt.alive.sum()))
        for _ in range(4):
            for rows in torch.randperm(dreamt.tokens.shape[1]).chunk(2):
                update(optimizer, actor_critic_loss(agent, dreamt.take(rows)), agent, 0.5)
    return float(np.mean(rewards[-max(1, len(rewards) // 10) :]))


@dataclass(frozen=True)
class Dream:
    """Dreams of n environments over T steps: tokens (T, n, K), all others (T, n)."""

    tokens: Tensor
    actions: Tensor
    log_probabilities: Tensor  # of the actions, when they were drawn
    rewards: Tensor
    alive: Tensor  # 1.0 up to the step that ended the game, then 0.0
    advantages: Tensor
    returns: Tensor

    def take(self, rows: Tensor) -> "Dream":
        """The dreams of some environments."""
        return Dream(*(values[:, rows] for values in vars(self).values()))


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
    going_on = torch.cat((lived[1:], alive[None]))
    advantages = generalized_advantages(rewards, values := torch.stack(values), going_on)
    made = tokens, actions, log_probabilities, rewards, lived, advantages, advantages + values[:-1]
    return Dream(*made)


def generalized_advantages(rewards: Tensor, values: Tensor, going_on: Tensor) -> Tensor:
    """GAE (arXiv:1506.02438), (T, n), of rewards (T, n) and the values (T + 1, n) around them."""
    advantages, later = [], torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        surprise = rewards[t] + DISCOUNT * values[t + 1] * going_on[t] - values[t]
        later = surprise + DISCOUNT * LAMBDA * going_on[t] * later
        advantages.append(later)
    return torch.stack(advantages[::-1])


def actor_critic_loss(agent: Agent, dreamt: Dream) -> Tensor:
    """PPO's clipped loss (arXiv:1707.06347), with the value's error and the policy's entropy."""
    alive = dreamt.alive.flatten() > 0
    flat = Dream(*(values.flatten(0, 1)[alive] for values in vars(dreamt).values()))
    logits, values = agent(flat.tokens)
    policy = torch.distributions.Categorical(logits=logits)
    ratio = (policy.log_prob(flat.actions) - flat.log_probabilities).exp()
    spread = flat.advantages.std(correction=0) + 1e-6
    advantages = (flat.advantages - flat.advantages.mean()) / spread
    clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
    actor = -torch.minimum(ratio * advantages, clipped * advantages).mean()
    critic = (values - flat.returns).square().mean()
    return actor + 0.5 * critic - ENTROPY * policy.entropy().mean()


def evaluate(arguments: Arguments, tokenizer: Tokenizer, agent: Agent | None) -> np.ndarray:
    """Scores of real episodes, float64 (episodes,); without an agent of uniformly random play."""
    gymnasium.register_envs(envs)
    name, count = f"worldtokens/{arguments.game}", arguments.episodes
    game = gymnasium.make_vec(name, count, "sync", **arguments.settings)
    env = VectorTokenObservation(game, tokenizer)
    env.action_space.seed(arguments.seed)
    tokens, _ = env.reset(seed=1_000_000 + 1000 * arguments.seed)
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
    """One step down the gradient, whose norm is at most `largest`."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), largest)
    optimizer.step()


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device multiplies it in hardware."""
    dtype = native_autocast_dtype(device)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def main(arguments: Arguments) -> list[Row]:
    """Learns epoch by epoch; writes and returns the curve."""
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    started, rows, dream_reward, random_score = time.monotonic(), [], 0.0, 0.0
    episodes = collect(arguments, arguments.steps, rng)
    tokenizer = fit_tokenizer(episodes, arguments, rng)
    episodes = tokenize(episodes, tokenizer)
    every = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    codes = tokenizer.embed(every.expand(-1, tokenizer.tokens_per_frame))[:, 0]
    num_actions = int(make_env(arguments.game).action_space.n)  # pyright: ignore
    agent = Agent(codes, tokenizer.tokens_per_frame, num_actions).to(tokenizer.device)
    agent_optimizer = torch.optim.Adam(agent.parameters(), 1e-3, eps=1e-5)
    model = make_world_model(tokenizer, codes, agent, arguments.game)
    model_optimizer = MuonAdamW(model, 2e-3, 0.01)
    for epoch in range(arguments.epochs + 1):
        if epoch > 1:
            more = collect(arguments, arguments.more_steps, rng, tokenizer, agent)
            episodes += tokenize(more, tokenizer)
        if epoch > 0:
            data = TokenDataset(episodes)
            steps = arguments.model_steps if epoch == 1 else arguments.more_model_steps
            train_world_model(model, data, model_optimizer, steps, rng)
            env = ImaginedVectorEnv(
                model, tokenizer, data, arguments.num_envs, arguments.horizon,
                context=CONTEXT, observation="tokens",
            )  # fmt: skip
            env.reset(seed=100_000 * arguments.seed + 1000 * epoch)
            dream_reward = train_in_dreams(agent, agent_optimizer, env, arguments)
        seconds = time.monotonic() - started
        scores = evaluate(arguments, tokenizer, agent)
        if epoch == 0:
            random_score = float(evaluate(arguments, tokenizer, None).mean())
        started = time.monotonic() - seconds
        dreamt = epoch * arguments.dreams * arguments.num_envs * arguments.horizon
        rows.append(
            Row(
                arguments.seed, epoch, round(seconds, 1), sum(map(len, episodes)), dreamt,
                float(scores.mean()), float(scores.std()), random_score, dream_reward,
            )
        )  # fmt: skip
        print(", ".join(f"{name} {value:g}" for name, value in vars(rows[-1]).items()))
        write_curve(Path(arguments.out) / arguments.game, rows)
    return rows


def write_curve(folder: Path, rows: list[Row]) -> None:
    """Writes this seed's CSV, and a picture of the curves of all seeds in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"seed_{rows[0].seed}.csv", "w", newline="") as file:
        csv.writer(file).writerows([vars(rows[0]), *(vars(row).values() for row in rows)])
    axes = (figure := Figure(figsize=(6, 4))).subplots()
    for path in sorted(folder.glob("seed_*.csv")):
        found = np.genfromtxt(path, delimiter=",", names=True, ndmin=1)
        (line,) = axes.plot(found["dream_steps"], found["score"], marker="o", label=path.stem)
        axes.axhline(found["random_score"][0], color=line.get_color(), linestyle=":")
    axes.set(title=folder.name, xlabel="steps dreamt", ylabel="real score (dotted: random play)")
    axes.legend()
    figure.savefig(folder / "curve.png", bbox_inches="tight")


def parse(words: list[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for field in dataclasses.fields(Arguments):
        option, usual = "--" + field.name.replace("_", "-"), field.default
        parser.add_argument(option, type=type(usual), default=usual, help=" ")
    return Arguments(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
