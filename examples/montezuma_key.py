"""An agent that learns in dreams only to take the first key of Montezuma's Revenge.

    python collect/run.py env=MontezumaRevenge num_steps=200000
    for seed in 0 1 2; do python examples/montezuma_key.py --seed $seed; done
    python benchmarks/key/key_play.py --agents runs/montezuma_key/seed_*

Each round dreams, plays in the real game with the policy (`collect/run.py`, sticky actions), and,
with --model-minutes, trains the world model on with what was played (`world_model/train.py`).
Models that montezuma_practice.py prepares know what happens beside the known ways, too.
Dreams begin on the archive's known ways to the key, at most `distance` steps before it; the
distance grows when the policy took the key in the game often enough. A dream ends with the reward,
a lost life, or when its frames no longer show where the player is: there a dream may pay what the
game does not. What ends otherwise counts with the value of its last frame. With --clone-steps the
agent imitates the known ways first.

Writes to <out>/seed_<seed>: progress.csv, a row per round (payments of the same policy in dream and
game beside each other), curve.png, agents/round_<n>.safetensors, and state.pt, from which the same
command goes on. It works for other games whose archives know ways to a reward, too.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from montezuma_agent import (
    Agent,
    Seen,
    clone,
    codes_of,
    collect_from,
    cut_episodes,
    draw_episodes,
    mix,
    player_of,
    player_reader,
    run_command,
    walk,
    write_progress,
)
from torch import Tensor, nn
from tqdm import tqdm

from worldtokens import EpisodeDataset, ImaginedVectorEnv, Tokenizer, WorldModel
from worldtokens.collect.go_explore.demonstrations import known_ways
from worldtokens.common.atomic import replacing
from worldtokens.common.checks import check_probability
from worldtokens.envs import make_env_from_config
from worldtokens.world_model.config import Architecture
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.rl.player_reader import LostPlayers, PlayerReader


def option(default: Any, help: str) -> Any:
    """Declares a field of Arguments that is an option of the command line."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    data: str = option("data/MontezumaRevenge", "dataset with archives of explorations")
    tokenizer: str = option("montezuma_revenge", "folder, name or Hub repo id")
    world_model: str = option("montezuma_revenge", "folder, name or Hub repo id")
    out: str = option("runs/montezuma_key", "folder of the results")
    seed: int = option(0, "seed of everything random")
    reward: float = option(100.0, "what the key pays")
    scene: int = option(1, "room in which it lies")
    ways: int = option(40, "known ways to the key, at most, evenly over the explorations")
    clone_steps: int = option(0, "training steps of imitating the ways, before any dream")
    rounds: int = option(20, "rounds of dreams and real play")
    updates: int = option(40, "updates of the policy in a round")
    num_envs: int = option(64, "dreams at once")
    horizon: int = option(24, "steps of a dream")
    distance: int = option(25, "steps before the key at which dreams begin, at most, in round 1")
    farther: int = option(15, "steps by which that grows")
    goal: float = option(0.7, "share of real tries with the key at which it grows")
    tries: int = option(30, "real tries in a round, about")
    patience: float = option(3.0, "steps of a real try, in multiples of its distance to the key")
    practice: str = option("", "dataset of montezuma_practice.py that the world model learned from")
    practice_share: float = option(0.5, "share of dreams, about, that begin in that data")
    model_minutes: float = option(0.0, "training of the world model in a round")
    model_rate: float = option(5e-4, "learning rate of the world model")
    learning_rate: float = option(5e-4, "of Adam")
    discount: float = option(0.99, "of rewards")
    gae_lambda: float = option(0.95, "of the lambda-returns")
    epochs: int = option(3, "passes over each batch of dreams, of four updates each")
    clip: float = option(0.2, "of the policy's ratio")
    entropy: float = option(0.002, "weight of the entropy bonus, falling to a tenth")
    sticky: float = option(0.25, "probability that the game repeats an action")
    dream_sticky: float = option(0.1, "probability that a dream repeats an action for a step")
    old_shards: int = option(8, "newest shards of the data that the world model sees again")
    device: str = option("cpu", "cpu, cuda ...")


@dataclass(frozen=True)
class Dreams:
    """Dreams of n players over T steps; tensors (T, n, ...), T + 1 values."""

    frames: Tensor  # int64, what the agent saw
    last: Tensor  # int64, the action before
    actions: Tensor
    log_probs: Tensor
    rewards: Tensor
    alive: Tensor  # bool, whether the dream still went on
    done: Tensor  # bool, whether it ended with this step: by a reward, or as below
    lost: Tensor  # bool, because the player was lost
    died: Tensor  # bool, because a life was
    values: Tensor


@torch.no_grad()
def dream(
    agent: Agent, env: ImaginedVectorEnv, reader: PlayerReader | None, steps: int, sticky: float,
    restart: bool,
) -> Dreams:  # fmt: skip
    """Dreams anew with all players.

    With probability `sticky` a dream plays the action before, not the one that was chosen. What
    ended begins anew with `restart`; without it, it is not alive any more.
    """
    observed, device = env.reset()[0], agent.codes.device
    seen, watch = Seen(torch.from_numpy(observed).to(device)), LostPlayers(reader, observed)
    alive = torch.ones(len(observed), dtype=torch.bool, device=device)
    played, rows, values = seen.last, [], []
    for _ in range(steps):
        policy, value = agent(seen.frames, seen.last)
        actions = policy.sample()
        sticks = torch.rand(len(actions), device=device) < sticky
        played = torch.where(sticks, played, actions)
        observed, paid, ends, _, info = env.step(played.cpu().numpy())
        # What is paid where the player cannot be is a fault of the dream.
        gone = watch.add(observed) | (watch.astray & (paid != 0))
        flags = np.sign(paid), info["lives_lost"] | ends, gone
        rewards, died, lost = (torch.from_numpy(flag).to(device) for flag in flags)
        died, lost = alive & died, alive & lost & ~died
        rewards = rewards.float() * (alive & ~lost)
        done = died | lost | (rewards != 0)
        row = seen.frames, seen.last, actions, policy.log_prob(actions), rewards
        rows.append((*row, alive, done, lost, died))
        values.append(value)
        seen.add(actions, torch.from_numpy(observed).to(device))
        if not restart:
            alive = alive & ~done
        elif done.any():
            mask = done.cpu().numpy()
            observed, _ = env.reset(options={"reset_mask": mask})
            watch.begin(mask, observed)
            seen.begin(done, torch.from_numpy(observed).to(device))
            played = torch.where(done, seen.last, played)
    values.append(agent(seen.frames, seen.last)[1])
    return Dreams(*map(torch.stack, zip(*rows, strict=True)), values=torch.stack(values))


def advantages_of(dreams: Dreams, args: Arguments) -> Tensor:
    """Returns what lambda-returns (arXiv:1506.02438) exceed the values by, (T, n)."""
    values, advantages = dreams.values, torch.zeros_like(dreams.rewards)
    later = torch.zeros_like(dreams.rewards[0])
    for t in reversed(range(len(advantages))):
        goes_on = args.discount * (~dreams.done[t]).float()
        error = dreams.rewards[t] + goes_on * values[t + 1] - values[t]
        later = error + args.gae_lambda * goes_on * later
        advantages[t] = later
    return advantages


def learn(
    agent: Agent, optimizer: torch.optim.Optimizer, dreams: Dreams, args: Arguments, entropy: float
) -> None:
    """Updates the agent by PPO's loss (arXiv:1707.06347) on the steps before the dreams' ends."""
    advantages = advantages_of(dreams, args)
    parts = dreams.frames, dreams.last, dreams.actions, dreams.log_probs, advantages
    flat = [part[dreams.alive] for part in (*parts, advantages + dreams.values[:-1])]
    # Where hardly anything is paid, noise is not blown up to the size of a signal.
    center, scale = flat[4].mean(), flat[4].std(correction=0).clamp(min=0.05)
    for _ in range(args.epochs):
        order = torch.randperm(len(flat[0]), device=advantages.device)
        for rows in order.chunk(4):
            frames, last, actions, log_probs, advantage, returns = (part[rows] for part in flat)
            policy, values = agent(frames, last)
            ratio = (policy.log_prob(actions) - log_probs).exp()
            normal = (advantage - center) / scale
            clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
            actor = -torch.minimum(ratio * normal, clipped * normal).mean()
            critic = (values - returns).square().mean()
            loss = actor + critic - entropy * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


@dataclass(frozen=True)
class Row:
    """A round; shares are of dreams or tries."""

    round: int
    distance: int  # steps before the key
    seconds: float  # of all rounds, world model included
    real_steps: int
    dream_steps: int
    learned_paid: float  # dreams of learning that took the key
    learned_lost: float  # that lost the player
    dream_paid: float  # dreams from `distance`, as long as the real tries
    dream_died: float
    dream_lost: float
    game_paid: float  # real tries
    game_died: float
    tries: int


class Run:
    """A run's folder, models and data."""

    def __init__(self, args: Arguments):
        """Loads the models, plays the known ways again and learns where the player is."""
        self.args, self.folder = args, (Path(args.out) / f"seed_{args.seed}").resolve()
        self.play, self.rows, self.known = self.folder / "play", [], set()
        self.world_model, self.distance = args.world_model, args.distance
        dataset = EpisodeDataset(args.data)
        practice = self.practice = EpisodeDataset(args.practice) if args.practice else None
        self.game, self.config = dataset.game, dataset.env_config
        self.old_steps = dataset.num_steps + (practice.num_steps if practice else 0)
        self.tokenizer = Tokenizer.from_pretrained(args.tokenizer).to(args.device).eval()
        ways = known_ways(Path(args.data), self.game, args.reward, args.scene, args.ways)
        env = make_env_from_config(self.config)
        self.walks = [walk(way, env, self.tokenizer) for way in tqdm(ways, desc="known ways")]
        self.reader = player_reader(practice or dataset, self.tokenizer, args.scene)
        codes, grid = codes_of(self.tokenizer), self.tokenizer.grid
        self.agent = Agent(codes, grid, dataset.num_actions).to(args.device)
        self.optimizer = torch.optim.Adam(self.agent.parameters(), args.learning_rate, eps=1e-5)
        if (state := self.folder / "state.pt").exists():
            self.resume(state)
            return
        if args.clone_steps:
            clone(self.walks, self.agent, args.clone_steps, args.seed)

    def resume(self, path: Path) -> None:
        """Goes on from the last whole round; in another world model, if another is given."""
        state = torch.load(path, weights_only=True, map_location=self.args.device)
        self.agent.load_state_dict(state["agent"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"].cpu())
        self.rows, self.known = [Row(**row) for row in state["rows"]], set(state["known"])
        self.distance, given = state["distance"], self.args.world_model
        self.world_model = state["world_model"] if given == state.get("given", given) else given

    def save(self) -> None:
        """Writes the table, the picture and the state after a round."""
        write_progress(self.folder, self.rows)
        state = {
            "agent": self.agent.state_dict(), "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(), "rows": [asdict(row) for row in self.rows],
            "known": sorted(self.known), "distance": self.distance,
            "world_model": self.world_model, "given": self.args.world_model,
        }  # fmt: skip
        with replacing(self.folder / "state.pt") as partial:
            torch.save(state, partial)

    def round(self) -> None:
        """Dreams, tries in dream and game, trains the world model on."""
        args, started = self.args, time.monotonic()
        seconds = sum(row.seconds for row in self.rows[-1:])
        dreamt = sum(row.dream_steps for row in self.rows[-1:])
        steps, distance = round(args.patience * self.distance), self.distance
        learned = self.learn_in_dreams()
        dreamt += args.updates * args.num_envs * args.horizon
        in_dream = self.try_in_dreams(steps)
        in_game = self.try_in_game(steps, dreamt)
        if in_game[0] >= args.goal:
            longest = max(len(each.actions) for each in self.walks)
            self.distance = min(distance + args.farther, longest)
        if args.model_minutes:
            self.train_world_model()
        real = self.old_steps + EpisodeDataset(self.play).num_steps
        seconds += time.monotonic() - started
        counts = len(self.rows) + 1, distance, round(seconds, 1), real, dreamt
        self.rows.append(Row(*counts, *learned, *in_dream, *in_game))  # pyright: ignore
        print(", ".join(f"{name} {value:.3g}" for name, value in asdict(self.rows[-1]).items()))
        self.save()

    def dreams_from(self, episodes: list[TokenEpisode], steps: int, mode: str) -> ImaginedVectorEnv:
        """Makes dreams of so many steps, of an autoreset mode, that begin within episodes."""
        env = ImaginedVectorEnv(
            WorldModel.from_pretrained(self.world_model).to(self.args.device), self.tokenizer,
            TokenDataset(episodes), self.args.num_envs, steps + 1,
            observation="tokens", with_entropy=False, autoreset_mode=mode,
        )  # fmt: skip
        env.reset(seed=100_000 * self.args.seed + 1000 * len(self.rows))
        return env

    def learn_in_dreams(self) -> tuple[float, ...]:
        """Updates the agent; returns the shares of dreams with the key and with a lost player."""
        args, near = self.args, range(1, self.distance + 1)
        distances = [*near, *near[-args.farther :]]  # the farthest, which are the newest, twice
        known = [w.window(d) for w in self.walks for d in distances if d <= len(w.actions)]
        episodes = known + self.played_episodes() + self.practice_episodes(known)
        env = self.dreams_from(episodes, args.horizon, "DISABLED")
        entropy = args.entropy * (1 - 0.9 * len(self.rows) / max(1, args.rounds - 1))
        shares = []
        for _ in tqdm(range(args.updates), desc=f"round {len(self.rows) + 1}: dreams"):
            dreams = dream(self.agent, env, self.reader, args.horizon, args.dream_sticky, True)
            learn(self.agent, self.optimizer, dreams, args, entropy)
            count = args.num_envs + int(dreams.done.sum())
            shares.append([int(each.sum()) / count for each in (dreams.rewards > 0, dreams.lost)])
        return tuple(np.mean(shares, axis=0).tolist())

    def played_episodes(self) -> list[TokenEpisode]:
        """Returns what was played in the game, each episode up to its reward or lost life."""
        return cut_episodes(EpisodeDataset(self.play), self.tokenizer) if self.known else []

    @cached_property
    def practised(self) -> list[TokenEpisode]:
        """The episodes of practice, each up to its reward or lost life."""
        return cut_episodes(self.practice, self.tokenizer) if self.practice else []

    def practice_episodes(self, known: list[TokenEpisode]) -> list[TokenEpisode]:
        """Draws so many of them that `practice_share` of the steps is theirs."""
        share = min(self.args.practice_share, 0.99)
        steps = sum(map(len, known)) * share / (1 - share)
        return draw_episodes(self.practised, steps, seed=len(self.rows))

    def try_in_dreams(self, steps: int) -> tuple[float, ...]:
        """Returns the shares of dreams from `distance` with the key, a death, a lost player."""
        starts = [each.window(min(self.distance, len(each.actions))) for each in self.walks]
        env = self.dreams_from(starts, steps, "NEXT_STEP")
        dreams = dream(self.agent, env, self.reader, steps, self.args.dream_sticky, False)
        flags = torch.stack((dreams.rewards > 0, dreams.died, dreams.lost))
        return tuple(flags.any(1).float().mean(1).tolist())

    def try_in_game(self, steps: int, dreamt: int) -> tuple[float, float, int]:
        """Plays from `distance` by the collector; returns shares with the key and with a death."""
        args = self.args
        agent = self.folder / "agents" / f"round_{len(self.rows) + 1:03d}.safetensors"
        facts = {"tokenizer": self.tokenizer.fingerprint, "steps": dreamt}
        self.agent.save(agent, asdict(args) | facts)
        states = [w.states[max(0, len(w.actions) - self.distance)] for w in self.walks]
        collect_from(
            self.play, self.game, self.config, states, args.scene, steps, f"seed={args.seed}",
            f"num_steps={args.tries * steps}", *player_of(agent, args.tokenizer),
            "env_config.terminate_on_life_loss=true",
            f"env_config.repeat_action_probability={args.sticky}",
        )  # fmt: skip
        tries = [e for e in EpisodeDataset(self.play).episodes if e.id not in self.known]
        self.known |= {each.id for each in tries}
        paid = np.array([(each.rewards > 0).any() for each in tries])
        died = np.array([each.terminated[-1] for each in tries]) & ~paid
        return float(paid.mean()), float(died.mean()), len(tries)

    def train_world_model(self) -> None:
        """Trains the world model on with what was played, beside the newest shards of the data."""
        args, mixed, run = self.args, self.folder / "mixed", f"world_model_{len(self.rows) + 1}"
        load_tokens(EpisodeDataset(self.play), self.tokenizer)  # encodes what is new
        old, tokens = Path(args.practice or args.data), f"tokens/{self.tokenizer.fingerprint}"
        mix(mixed, old, args.old_shards, self.play, ("shards", tokens))
        config = WorldModel.from_pretrained(self.world_model).config
        run_command(
            "world_model.train", f"env={self.game}", f"data={mixed}", f"root={self.folder}",
            f"tokenizer={args.tokenizer}", f"init_from={self.world_model}", f"run={run}",
            f"budget.max_minutes={args.model_minutes}", f"learning_rate={args.model_rate}",
            "schedule.shape=linear", f"seed={args.seed}", "wandb.mode=disabled",
            *(f"model.{each.name}={getattr(config, each.name)}" for each in fields(Architecture)),
        )  # fmt: skip
        self.world_model = str(self.folder / self.game / run)


def main(args: Arguments) -> list[Row]:
    """Plays all rounds that are missing."""
    torch.manual_seed(args.seed)
    run = Run(args)
    while len(run.rows) < args.rounds:
        run.round()
    return run.rows


def parse(words: list[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for each in fields(Arguments):
        name = f"--{each.name.replace('_', '-')}"
        parser.add_argument(name, type=type(each.default), default=each.default, **each.metadata)
    args = Arguments(**vars(parser.parse_args(words)))
    check_probability(**{"--practice-share": args.practice_share})
    return args


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
