"""PPO in one file, in the style of CleanRL, over tokens: in the game or in dreams of it.

    python examples/cleanrl_ppo.py --game Breakout --where dream
    python examples/cleanrl_ppo.py --game Breakout --where game

Both take the tokenizer of runs/<game>/tokenizer; dreams take the world model of
runs/<game>/world_model and begin at frames of data/<game>. Writes to <out>/<game>_<where>_<seed>:
progress.csv, policies from the first to the last, policy_<steps>.safetensors, which
benchmarks/policies/policy_ranking.py reads, and scores.json of real games at the end, beside random
play and each action held all the time: examples/agent_table.py makes a table of several runs.

Unlike CleanRL's ppo_atari.py: a small network that reads the code vectors of tokens, and values
after an episode that was truncated, not ended: dreams are truncated at their horizon.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributions import Categorical
from tqdm import trange

from worldtokens import (
    EpisodeDataset,
    ImaginedVectorEnv,
    Tokenizer,
    VectorTokenObservation,
    WorldModel,
    make_env,
)
from worldtokens.common.atomic import write_text
from worldtokens.common.checks import check_at_least
from worldtokens.common.devices import choose_device
from worldtokens.envs import usual_name


def option(default: Any, help: str) -> Any:
    """Declares a field of Arguments that is an option of the command line."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    game: str = option("Breakout", "the game's usual name")
    where: str = option("dream", "where the policy learns: dream or game")
    tokenizer: str = option("runs/<game>/tokenizer", "folder, name or Hub repo id")
    world_model: str = option("runs/<game>/world_model", "folder, name or Hub repo id")
    starts: str = option("data/<game>", "dataset whose frames dreams begin at")
    out: str = option("runs/cleanrl_ppo", "folder of the results")
    steps: int = option(200_000, "steps of training, of all environments together")
    num_envs: int = option(32, "environments at once")
    rollout_steps: int = option(32, "steps per environment and update")
    horizon: int = option(50, "steps of a dream")
    frame_stack: int = option(4, "frames that the policy sees")
    frame_skip: int = option(4, "emulated frames per step, in the game")
    sticky: float = option(0.25, "probability that the game repeats an action")
    episode_steps: int = option(4500, "longest episode in the game")
    learning_rate: float = option(5e-4, "of Adam, falling to 0")
    discount: float = option(0.99, "of rewards")
    gae_lambda: float = option(0.95, "of generalized advantage estimation")
    epochs: int = option(4, "passes over each rollout")
    minibatches: int = option(4, "updates per pass")
    clip: float = option(0.1, "of the policy's ratio")
    entropy: float = option(0.01, "weight of the entropy bonus")
    value: float = option(0.5, "weight of the value loss")
    max_norm: float = option(0.5, "of the gradient")
    policies: int = option(10, "policies that are saved, the untrained one included")
    episodes: int = option(10, "real games of the evaluation")
    seed: int = option(0, "seed of everything random")
    device: str = option(choose_device().type, "cpu, cuda ...")

    def __post_init__(self) -> None:
        """Checks what would fail late."""
        if self.where not in ("dream", "game"):
            raise ValueError(f"--where: expected dream or game, got {self.where!r}")
        check_at_least(2, policies=self.policies)


class Agent(nn.Module):
    """Policy and value of the tokens of some frames, int64 (n, stack, K), oldest first."""

    def __init__(self, codes: Tensor, num_tokens: int, num_actions: int, stack: int):
        """Takes the tokenizer's code vectors, float32 (V, D), which are not trained."""
        super().__init__()
        self.codes: Tensor
        self.register_buffer("codes", codes / codes.std())
        self.stack = stack
        self.project = nn.Linear(codes.shape[1], 16)
        self.hidden = nn.Linear(16 * num_tokens * stack, 256)
        self.policy, self.critic = nn.Linear(256, num_actions), nn.Linear(256, 1)
        for layer, gain in (
            (self.project, 1.4), (self.hidden, 1.4), (self.policy, 0.01), (self.critic, 1.0)
        ):  # fmt: skip
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor) -> tuple[Categorical, Tensor]:
        """Returns the distribution of actions and the values (n,)."""
        # Each code is projected once, not each token.
        x = F.embedding(tokens, F.relu(self.project(self.codes))).flatten(1)
        x = F.relu(self.hidden(x))
        return Categorical(logits=self.policy(x)), self.critic(x)[:, 0]

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the weights, and what else a reader needs to know, as JSON."""
        facts = facts | {
            "stack": self.stack, "num_actions": self.policy.out_features,
            "num_tokens": self.hidden.in_features // (16 * self.stack),
        }  # fmt: skip
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, path, {"facts": json.dumps(facts)})

    @classmethod
    def load(cls, path: Path) -> tuple["Agent", dict[str, Any]]:
        """Reads what `save` wrote; raises a ValueError if the file is no such policy."""
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "null"))
        if facts is None:
            raise ValueError(f"policy: expected one of examples/cleanrl_ppo.py, got {path}")
        weights = load_file(path)
        shape = facts["num_tokens"], facts["num_actions"], facts["stack"]
        agent = cls(torch.randn_like(weights["codes"]), *shape)
        agent.load_state_dict(weights)
        return agent.eval(), facts


class Frames:
    """The last frames of each environment, int64 (n, stack, K)."""

    def __init__(self, first: Tensor, stack: int):
        """Takes the first frames, int64 (n, K); the frames before them are taken to be the same."""
        self.stacked = first[:, None].repeat(1, stack, 1)

    def add(self, newest: Tensor) -> Tensor:
        """Adds a frame to each; returns the frames."""
        self.stacked = torch.cat((self.stacked[:, 1:], newest[:, None]), dim=1)
        return self.stacked

    def begin(self, rows: Tensor, first: Tensor) -> None:
        """Begins episodes, bool (n,), with first frames, int64 (n, K)."""
        self.stacked = torch.where(rows[:, None, None], first[:, None], self.stacked)


def make_envs(args: Arguments, tokenizer: Tokenizer) -> VectorEnv:
    """Makes environments observed as tokens that reset themselves within the step."""
    if args.where == "dream":
        return ImaginedVectorEnv(
            WorldModel.from_pretrained(args.world_model.replace("<game>", args.game))
            .to(args.device),
            tokenizer,
            EpisodeDataset(args.starts.replace("<game>", args.game)),
            args.num_envs,
            args.horizon,
            observation="tokens",
            with_entropy=False,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )  # fmt: skip
    return VectorTokenObservation(make_games(args, tokenizer, args.num_envs), tokenizer)


def make_games(args: Arguments, tokenizer: Tokenizer, count: int) -> SyncVectorEnv:
    """Makes real games with frames as the tokenizer takes them."""
    height, width, _ = tokenizer.frame_shape

    def one() -> Any:
        return make_env(
            args.game, frame_height=height, frame_width=width, frame_skip=args.frame_skip,
            repeat_action_probability=args.sticky, max_episode_steps=args.episode_steps,
            noop_max=30,
        )  # fmt: skip

    return SyncVectorEnv([one] * count, autoreset_mode=AutoresetMode.SAME_STEP)


def advantages_of(
    rewards: Tensor, values: Tensor, done: Tensor, last: Tensor, args: Arguments
) -> Tensor:
    """Returns generalized advantage estimates (T, n) of (T, n) steps and the value after them."""
    advantages, later, next_value = torch.zeros_like(rewards), torch.zeros_like(last), last
    for t in reversed(range(len(rewards))):
        goes_on = 1.0 - done[t]
        error = rewards[t] + args.discount * next_value * goes_on - values[t]
        later = error + args.discount * args.gae_lambda * goes_on * later
        advantages[t], next_value = later, values[t]
    return advantages


@torch.no_grad()
def roll(envs: VectorEnv, agent: Agent, frames: Frames, scores: "Scores", args: Arguments):
    """Plays `rollout_steps` steps; returns tokens, actions, log probabilities, values, advantages.

    Rewards are replaced by their signs, as is usual for Atari.
    """
    steps, device = [], agent.codes.device
    for _ in range(args.rollout_steps):
        seen = frames.stacked
        policy, values = agent(seen)
        actions = policy.sample()
        observed, rewards, terminated, truncated, info = envs.step(actions.cpu().numpy())
        scores.add(rewards, terminated | truncated)
        paid = torch.from_numpy(np.sign(rewards)).float().to(device)
        newest = torch.from_numpy(observed).to(device)
        ended = torch.from_numpy(terminated | truncated).to(device)
        last = newest.clone()
        for row in np.nonzero(terminated | truncated)[0]:
            last[row] = torch.from_numpy(info["final_obs"][row]).to(device)
        after = frames.add(last)
        if truncated.any():
            # The game would have gone on: what it was worth is paid with the last reward.
            paid += args.discount * agent(after)[1] * torch.from_numpy(truncated).to(device)
        frames.begin(ended, newest)
        steps.append((seen, actions, policy.log_prob(actions), values, paid, ended.float()))
    tokens, actions, log_probs, values, rewards, done = map(torch.stack, zip(*steps, strict=True))
    last_value = agent(frames.stacked)[1]
    return tokens, actions, log_probs, values, advantages_of(
        rewards, values, done, last_value, args
    )  # fmt: skip


class Scores:
    """Unclipped returns of finished episodes."""

    def __init__(self, count: int):
        """Begins with environments at their start."""
        self.running = np.zeros(count)
        self.finished: list[float] = []

    def add(self, rewards: np.ndarray, ended: np.ndarray) -> None:
        """Adds a step of all environments."""
        self.running += rewards
        self.finished += self.running[ended].tolist()
        self.running[ended] = 0.0

    def mean(self, count: int = 100) -> float:
        """Returns the mean of the last episodes; NaN before the first end."""
        return float(np.mean(self.finished[-count:] or [np.nan]))


def loss_of(agent: Agent, batch: Sequence[Tensor], args: Arguments) -> Tensor:
    """Computes PPO's loss (arXiv:1707.06347) of flat tensors, in the order of `roll`."""
    tokens, actions, log_probs, values, advantages = batch
    policy, predicted = agent(tokens)
    ratio = (policy.log_prob(actions) - log_probs).exp()
    normal = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
    clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
    actor = -torch.minimum(ratio * normal, clipped * normal).mean()
    critic = 0.5 * (predicted - (values + advantages)).square().mean()
    return actor + args.value * critic - args.entropy * policy.entropy().mean()


def play(args: Arguments, tokenizer: Tokenizer, player: Agent | int | None) -> list[float]:
    """Returns the scores of real games, of an agent, a held action or (None) random play."""
    envs: VectorEnv = make_games(args, tokenizer, args.episodes)
    reads = isinstance(player, Agent)
    envs = VectorTokenObservation(envs, tokenizer) if reads else envs
    envs.action_space.seed(args.seed)
    observed, _ = envs.reset(seed=1_000_000 + args.seed)
    frames = Frames(torch.from_numpy(observed).to(args.device), player.stack) if reads else None
    total, playing = np.zeros(args.episodes), np.ones(args.episodes, bool)
    while playing.any():
        actions = envs.action_space.sample()
        if isinstance(player, int):
            actions[:] = player
        elif player is not None and frames is not None:
            with torch.no_grad():
                actions = player(frames.stacked)[0].sample().cpu().numpy()
        observed, rewards, terminated, truncated, _ = envs.step(actions)
        if frames is not None:
            frames.add(torch.from_numpy(observed).to(args.device))
        total += np.where(playing, rewards, 0.0)
        playing &= ~(terminated | truncated)
    envs.close()
    return total.tolist()


@dataclass(frozen=True)
class Result:
    """What came of a run; scores are unclipped, a list has one for each game.

    Attributes:
        game: The game.
        where: Where the policy learned.
        seed: Of the run.
        real_steps: Steps of the game that were learned from: its own, or those of the dataset.
        dream_steps: Dreamt ones.
        seconds: Of learning; of the world model's training nothing is known here.
        trained: Scores of the trained policy.
        random: Of random play.
        held: Mean score of each action held all the time, by its name.
    """

    game: str
    where: str
    seed: int
    real_steps: int
    dream_steps: int
    seconds: float
    trained: list[float]
    random: list[float]
    held: dict[str, float]


def evaluate(
    args: Arguments, tokenizer: Tokenizer, agent: Agent, steps: int, seconds: float
) -> Result:
    """Plays the agent and its baselines in the game."""
    real, dreamt = steps, 0
    if args.where == "dream":
        real, dreamt = EpisodeDataset(args.starts.replace("<game>", args.game)).num_steps, steps
    names = make_env(args.game).action_meanings
    held = {name: play(args, tokenizer, index) for index, name in enumerate(names)}
    means = {name: float(np.mean(scores)) for name, scores in held.items()}
    trained, uniform = play(args, tokenizer, agent), play(args, tokenizer, None)
    seconds = round(seconds, 1)
    return Result(args.game, args.where, args.seed, real, dreamt, seconds, trained, uniform, means)


def main(args: Arguments) -> Result:
    """Learns and evaluates."""
    args = Arguments(**{**asdict(args), "game": usual_name(args.game)})
    torch.manual_seed(args.seed)
    tokenizer = Tokenizer.from_pretrained(args.tokenizer.replace("<game>", args.game))
    tokenizer = tokenizer.to(args.device).eval()
    envs = make_envs(args, tokenizer)
    every = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    codes = tokenizer.embed(every.expand(-1, tokenizer.tokens_per_frame))[:, 0]
    num_actions = int(envs.single_action_space.n)  # pyright: ignore[reportAttributeAccessIssue]
    shape = tokenizer.tokens_per_frame, num_actions, args.frame_stack
    agent = Agent(codes, *shape).to(args.device)
    optimizer = torch.optim.Adam(agent.parameters(), args.learning_rate, eps=1e-5)
    folder = Path(args.out) / f"{args.game}_{args.where}_{args.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    frames = Frames(torch.from_numpy(envs.reset(seed=args.seed)[0]).to(args.device), shape[2])
    size = args.num_envs * args.rollout_steps
    updates, scores, rows = max(1, args.steps // size), Scores(args.num_envs), []
    saved = np.linspace(0, updates, args.policies).round().astype(int).tolist()
    started = time.monotonic()
    for update in trange(updates + 1, desc=f"PPO in the {args.where}"):
        if update in saved:
            facts = {**asdict(args), "steps": update * size, "tokenizer": tokenizer.fingerprint}
            agent.save(folder / f"policy_{update * size:09d}.safetensors", facts)
        if update == updates:
            break
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / updates)
        batch = [values.flatten(0, 1) for values in roll(envs, agent, frames, scores, args)]
        for _ in range(args.epochs):
            for chosen in torch.randperm(size, device=args.device).chunk(args.minibatches):
                optimizer.zero_grad()
                loss_of(agent, [values[chosen] for values in batch], args).backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_norm)
                optimizer.step()
        rows.append({"steps": (update + 1) * size, "return": scores.mean()})
    envs.close()
    with open(folder / "progress.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["steps", "return"])
        writer.writeheader()
        writer.writerows(rows)
    result = evaluate(args, tokenizer, agent, updates * size, time.monotonic() - started)
    write_text(folder / "scores.json", json.dumps(asdict(result), indent=2) + "\n")
    best = max(result.held, key=lambda name: result.held[name])
    print(
        f"{args.game}, mean score of {args.episodes} real games: PPO after {updates * size} steps "
        f"in the {args.where} {np.mean(result.trained):.1f}, random play "
        f"{np.mean(result.random):.1f}, {best} held {result.held[best]:.1f}"
    )
    return result


def parse(words: list[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for each in fields(Arguments):
        name = f"--{each.name.replace('_', '-')}"
        parser.add_argument(name, type=type(each.default), default=each.default, **each.metadata)
    return Arguments(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
