"""Parts of montezuma_key.py: the agent, the known ways that it starts on, commands, curves.

The agent reads the tokens of the last frames and the last action. Repeating that action is an
action of its own, so that an agent that knows nothing yet plays actions that are held for a while.
"""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributions import Categorical
from tqdm import trange

from worldtokens import EpisodeDataset, Tokenizer
from worldtokens.collect.go_explore.archive import Archive, Route
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.collect.go_explore.paths import Path as Way
from worldtokens.common.atomic import write_text
from worldtokens.envs import ram_labels
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.rl.player_reader import PlayerReader

MOST_READ = 500_000  # frames, about, that tell where the player is, at most
STACK = 4  # frames that the policy reads
# Settings of a dataset's games that what is collected later shares.
SHARED = ("frame_skip", "frame_height", "frame_width", "full_action_space", "max_episode_steps")
CONTEXT = 4  # real frames before a dream; ImaginedVectorEnv's default


class Agent(nn.Module):
    """Policy and value of the last frames' tokens and the last action."""

    reads_last_action = True  # as benchmarks/policies/policy_ranking.py needs to know

    def __init__(self, codes: Tensor, grid: tuple[int, int], num_actions: int):
        """Takes the tokenizer's code vectors, float32 (V, D), which are not trained."""
        super().__init__()
        self.codes: Tensor
        self.register_buffer("codes", codes / codes.std())
        self.grid, self.num_actions, self.stack = grid, num_actions, STACK
        self.project = nn.Linear(codes.shape[1], 12)
        self.convs = nn.ModuleList(nn.Conv2d(n, 32, 3, padding=1) for n in (12 * STACK, 32))
        self.hidden = nn.Linear(32 * grid[0] * grid[1], 128)
        # Logits of the actions, one of repeating the last one, and the value.
        self.heads = nn.Linear(128, num_actions + 2)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)
        with torch.no_grad():
            self.heads.bias[-2] = 1.4  # at first an action is held for 5 steps on average

    def forward(self, tokens: Tensor, last: Tensor) -> tuple[Categorical, Tensor]:
        """Reads tokens, int64 (n, stack, K), and actions, int64 (n,).

        Returns:
            The distribution of actions, in which repeating is an action of its own, and values.
        """
        if tokens.numel() < len(self.codes):
            x = F.relu(self.project(self.codes[tokens]))
        else:
            # Each code is projected once, not each token.
            x = F.embedding(tokens, F.relu(self.project(self.codes)))
        x = x.unflatten(2, self.grid).permute(0, 1, 4, 2, 3).flatten(1, 2)
        for conv in self.convs:
            x = F.relu(conv(x))
        x = self.heads(F.relu(self.hidden(x.flatten(1))))
        repeat = x[:, -2:-1].sigmoid()
        probs = (1 - repeat) * x[:, :-2].softmax(1)
        probs = probs + repeat * F.one_hot(last, self.num_actions)
        return Categorical(probs=probs), x[:, -1]

    @torch.no_grad()
    def draw(self, seen: "Seen", rng: np.random.Generator) -> Tensor:
        """Draws actions, int64 (n,), with a generator of the caller."""
        probs = self(seen.frames, seen.last)[0].probs.double().cumsum(1).cpu()
        noise = torch.from_numpy(rng.random(len(probs)))[:, None] * probs[:, -1:]
        return (noise >= probs).sum(1).clamp(max=self.num_actions - 1)

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the weights, and what else a reader needs to know, as JSON."""
        facts = facts | {"grid": self.grid, "num_actions": self.num_actions}
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, path, {"facts": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | Path) -> tuple["Agent", dict[str, Any]]:
        """Reads what `save` wrote; raises a ValueError if the file is no such policy."""
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "null"))
        if facts is None:
            raise ValueError(f"agent: expected one of examples/montezuma_key.py, got {path}")
        weights = load_file(path)
        agent = cls(torch.randn_like(weights["codes"]), tuple(facts["grid"]), facts["num_actions"])
        agent.load_state_dict(weights)
        return agent.eval(), facts


class Seen:
    """What the agent reads of n games: their last frames and actions."""

    def __init__(self, first: Tensor):
        """Begins with first frames, int64 (n, K), before which all was the same and a NOOP."""
        self.frames = first[:, None].repeat(1, STACK, 1)
        self.last = torch.zeros(len(first), dtype=torch.int64, device=first.device)

    def add(self, actions: Tensor, frames: Tensor) -> None:
        """Adds a step of each game: actions, int64 (n,), and frames, int64 (n, K)."""
        self.frames = torch.cat((self.frames[:, 1:], frames[:, None]), dim=1)
        self.last = actions

    def begin(self, rows: Tensor, first: Tensor) -> None:
        """Begins some games anew, bool (n,), at frames, int64 (n, K)."""
        self.frames = torch.where(rows[:, None, None], first[:, None], self.frames)
        self.last = torch.where(rows, 0, self.last)


class Player:
    """The agent as a policy of `collect/run.py`."""

    def __init__(self, checkpoint: str, tokenizer: str):
        """Loads the agent of a round."""
        torch.set_num_threads(1)
        self.agent, self.tokenizer = Agent.load(checkpoint)[0], Tokenizer.from_pretrained(tokenizer)

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`."""
        self.rng, self.seen, self.actions = rng, None, torch.zeros(1, dtype=torch.int64)

    def act(self, frame: np.ndarray) -> int:
        """See `Policy.act`."""
        tokens = self.tokenizer.encode(frame[None]).cpu()
        if self.seen is None:
            self.seen = Seen(tokens)
        else:
            self.seen.add(self.actions, tokens)
        self.actions = self.agent.draw(self.seen, self.rng)
        return int(self.actions)


def agent_for(path: Path, tokenizer: Tokenizer) -> Agent:
    """Loads an agent.

    Raises:
        ValueError: The file is none, or the agent reads the tokens of another tokenizer.
    """
    if not path.is_file():
        raise ValueError(f"agent: expected a file agents/round_<n>.safetensors, got {path}")
    agent, facts = Agent.load(path)
    if facts["tokenizer"] != tokenizer.fingerprint:
        raise ValueError(
            f"{path}: expected an agent that reads tokens of tokenizer {tokenizer.fingerprint}, "
            f"got one for {facts['tokenizer']}; name its --tokenizer"
        )
    return agent


def player_of(checkpoint: Path, tokenizer: str) -> list[str]:
    """Returns the words that let the collector play with an agent."""
    return [
        "policy=random", "policy._target_=montezuma_agent.Player",
        f"+policy.checkpoint={checkpoint}", f"+policy.tokenizer={tokenizer}",
    ]  # fmt: skip


@dataclass(frozen=True)
class Walk:
    """A known way to the key, played again without sticky actions: T steps, the last one pays."""

    tokens: np.ndarray  # int64 (T + 1, K)
    actions: np.ndarray  # int64 (T,)
    states: Sequence[bytes]  # before each step

    def seen(self, step: int) -> np.ndarray:
        """Returns the last frames before a step, int64 (stack, K), as the agent reads them."""
        return self.tokens[np.maximum(0, np.arange(step + 1 - STACK, step + 1))]

    def window(self, distance: int) -> TokenEpisode:
        """Returns the known frames up to `distance` steps before the key, to begin a dream at."""
        stop = len(self.actions) + 1 - distance
        first = max(0, stop - CONTEXT)
        actions = self.actions[first:stop]
        none = np.zeros(len(actions), bool)
        tokens = np.concatenate((self.tokens[first:stop], self.tokens[stop : stop + 1]))
        return TokenEpisode(str(distance), tokens, actions, none.astype(np.float32), none, none)


def steps_of(way: Way, env: Any) -> Iterator[int]:
    """Plays a way again in an environment of `make_env`; yields each step before it is played."""
    way.replay(env, 0)
    seeds = dict(way.seeds)
    for step, action in enumerate(way.actions):
        yield step
        if step in seeds:
            env.reseed(seeds[step])
        env.advance(action)


def walk(way: Way, env: Any, tokenizer: Tokenizer) -> Walk:
    """Plays a way again and keeps what it passes."""
    frames, states = [], []
    for _ in steps_of(way, env):
        frames.append(env.frame)
        states.append(env.get_state().to_bytes())
    frames.append(env.frame)
    tokens = tokenizer.encode(np.stack(frames)).cpu().numpy()
    return Walk(tokens, np.frombuffer(way.actions, np.uint8).astype(np.int64), states)


def clone(walks: Sequence[Walk], agent: Agent, steps: int, seed: int) -> Agent:
    """Trains an agent to do what the known ways did."""
    rng, optimizer = np.random.default_rng(seed), torch.optim.Adam(agent.parameters(), 1e-3)
    rows = [(each, t) for each in walks for t in range(len(each.actions))]
    device = agent.codes.device
    frames = torch.from_numpy(np.stack([each.seen(t) for each, t in rows])).to(device)
    before = [each.actions[t - 1] if t else 0 for each, t in rows]
    last = torch.tensor(before, device=device)
    actions = torch.tensor([each.actions[t] for each, t in rows], device=device)
    for _ in trange(steps, desc="behaviour cloning"):
        chosen = torch.from_numpy(rng.integers(len(rows), size=128)).to(device)
        policy, _ = agent(frames[chosen], last[chosen])
        loss = F.nll_loss(policy.logits, actions[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return agent.eval()


def codes_of(tokenizer: Tokenizer) -> Tensor:
    """Returns the vector of each code, float32 (V, D)."""
    every = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    return tokenizer.embed(every.expand(-1, tokenizer.tokens_per_frame))[:, 0]


def cut(episode: TokenEpisode) -> TokenEpisode:
    """Returns an episode up to its first reward, lost life or end."""
    (stops,) = np.nonzero((episode.rewards != 0) | episode.lives_lost | episode.terminated)
    stop = int(stops[0]) if len(stops) else len(episode)
    names = ("actions", "rewards", "terminated", "truncated", "lives_lost")
    parts = {name: getattr(episode, name)[:stop] for name in names}
    return TokenEpisode(episode.name, episode.tokens[: stop + 1], **parts)


def cut_episodes(dataset: EpisodeDataset, tokenizer: Tokenizer) -> list[TokenEpisode]:
    """Returns the episodes of a dataset as tokens, each up to where a dream would end."""
    return [cut(each) for each in load_tokens(dataset, tokenizer).episodes]


def draw_episodes(episodes: Sequence[TokenEpisode], steps: float, seed: int) -> list[TokenEpisode]:
    """Draws different episodes that have at most so many steps together."""
    order = np.random.default_rng(seed).permutation(len(episodes))
    sums = np.cumsum([len(episodes[number]) for number in order])
    return [episodes[number] for number in order[: np.searchsorted(sums, steps, side="right")]]


def player_reader(dataset: EpisodeDataset, tokenizer: Tokenizer, scene: int) -> PlayerReader | None:
    """Learns from a dataset where the player is; None where no byte of the RAM says it."""
    labels = ram_labels(dataset.game)
    if not {"player_x", "player_y"} <= labels.keys():
        return None
    (here,) = np.nonzero(dataset.scene == scene)
    here = here[:: max(1, -(-len(here) // MOST_READ))]
    # The tokens that a world model learned from are at hand, and rare places want all of them.
    episodes = load_tokens(dataset, tokenizer).episodes
    tokens = np.concatenate([each.tokens for each in episodes])[here]
    ram = dataset.read("ram", 0, dataset.num_frames)[here]
    positions = ram[:, [labels["player_x"], labels["player_y"]]]
    return PlayerReader(tokens, positions, tokenizer.vocab_size)


def collect_from(
    folder: Path, game: str, config: Any, states: Sequence[bytes], scene: int, steps: int,
    *overrides: str,
) -> None:  # fmt: skip
    """Plays episodes of so many steps by the collector, from saved states of a room."""
    archive = Archive(make_cells(game, "auto"))
    for number, state in enumerate(states):
        key = bytes([scene, 0, 0, *number.to_bytes(2, "big")]).hex()
        archive.add(Route(key, scene, score=0.0, lives=0, steps=0, state=state))
    (folder / "archives").mkdir(parents=True, exist_ok=True)
    archive.save(folder / "archives" / "starts.npz")
    run_command(
        "collect.run", f"env={game}", f"data={folder}", "start=cells", f"start_steps={steps}",
        "num_workers=1", *(f"env_config.{name}={getattr(config, name)}" for name in SHARED),
        *overrides,
    )  # fmt: skip


def mix(folder: Path, old: Path, most: int, new: Path, names: Sequence[str]) -> None:
    """Links the newest files of an old dataset and all of a new one into one dataset."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        files = sorted((old / name).glob("*"))[-most:]
        for file in (*files, *(new / name).glob("*")):
            if not (folder / name / file.name).exists():
                os.link(file, folder / name / file.name)
    write_text(folder / "dataset.json", (new / "dataset.json").read_text())


def run_command(module: str, *overrides: str) -> None:
    """Runs a command of the project; its processes find this file as a module."""
    path = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-m", f"worldtokens.{module}", *overrides]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path}, stdout=sys.stderr)


def write_progress(folder: Path, rows: Sequence[Any]) -> None:
    """Writes the rows of montezuma_key.py as a table and as curves."""
    with open(folder / "progress.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(rows[0])])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    plot(folder / "curve.png", rows)


def plot(path: Path, rows: Sequence[Any]) -> None:
    """Draws the shares with the key, and the distance, over the dreamt steps.

    Args:
        path: The picture.
        rows: Of montezuma_key.py.
    """
    upper, lower = (figure := Figure(figsize=(6, 5))).subplots(2, sharex=True)
    steps = [row.dream_steps for row in rows]
    upper.plot(steps, [row.game_paid for row in rows], marker="o", label="real tries")
    upper.plot(steps, [row.dream_paid for row in rows], marker=".", label="dreams alike")
    upper.set(ylabel="share with the key", ylim=(-0.03, 1.03))
    upper.legend()
    lower.step(steps, [row.distance for row in rows], where="post")
    lower.set(xlabel="dreamt steps", ylabel="steps before the key")
    figure.savefig(path, bbox_inches="tight")
