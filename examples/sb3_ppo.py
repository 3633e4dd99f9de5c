"""Stable-Baselines3's PPO on the code vectors of a frozen tokenizer.

    pip install 'worldtokens[sb3]'
    python examples/sb3_ppo.py --game Breakout --steps 100000
    python examples/sb3_ppo.py --game FakeGame --untrained --steps 2000

The agent sees the tokens of the last frames; a small convolutional network reads their code
vectors, arranged on the tokens' grid. The tokenizer is the one of runs/<game>/tokenizer unless
--tokenizer names another. Prints the mean score of the trained policy beside that of random play.
"""

import argparse
import sys
from dataclasses import dataclass, field, fields
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.wrappers import TransformReward
from torch import Tensor, nn

from worldtokens import Tokenizer, TokenizerConfig, make_env
from worldtokens.common.devices import choose_device
from worldtokens.envs import usual_name

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecFrameStack
except ImportError as error:
    raise SystemExit(f"error: {error}; pip install 'worldtokens[sb3]'") from error


class Tokens(VecEnvWrapper):
    """Turns the frames of an SB3 vector environment into tokens, int64 (1, K).

    The frames of all environments are encoded in one batch, also the last frames of episodes. SB3's
    rollout buffer then holds K numbers per frame.
    """

    def __init__(self, venv: VecEnv, tokenizer: Tokenizer):
        """Wraps an environment whose observations are the tokenizer's frames."""
        shape = (1, tokenizer.tokens_per_frame)
        space = spaces.Box(0, tokenizer.vocab_size - 1, shape, np.int64)
        super().__init__(venv, observation_space=space)
        self._tokenizer = tokenizer

    def reset(self) -> np.ndarray:
        """Resets all environments."""
        frames = self.venv.reset()
        assert isinstance(frames, np.ndarray)
        return self._encode(frames)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        """Finishes a step; also encodes the last frames of episodes, which SB3 keeps in `infos`."""
        frames, rewards, ended, infos = self.venv.step_wait()
        assert isinstance(frames, np.ndarray)
        last = [info for info in infos if "terminal_observation" in info]
        tokens = self._encode(np.stack([*frames, *(info["terminal_observation"] for info in last)]))
        for info, final in zip(last, tokens[self.num_envs :], strict=True):
            info["terminal_observation"] = final
        return tokens[: self.num_envs], rewards, ended, infos

    def _encode(self, frames: np.ndarray) -> np.ndarray:
        return self._tokenizer.encode(frames).cpu().numpy()[:, None]


class CodeFeatures(BaseFeaturesExtractor):
    """Turns tokens of stacked frames (n, stack, K) into features (n, features).

    The tokenizer stays frozen and is no part of the policy: only its `embed` is called.
    """

    def __init__(
        self,
        observation_space: spaces.Box,
        tokenizer: Tokenizer,
        features_dim: int = 256,
        width: int = 64,
    ):
        """Builds the layers."""
        super().__init__(observation_space, features_dim)
        stack, count = observation_space.shape
        self._embed, self._grid = tokenizer.embed, tokenizer.grid
        code_dim = tokenizer.embed(torch.zeros(count, dtype=torch.int64)).shape[-1]
        self.layers = nn.Sequential(
            nn.Conv2d(stack * code_dim, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(width * count, features_dim),
            nn.ReLU(),
        )

    def forward(self, observations: Tensor) -> Tensor:
        """See the class; SB3 passes the tokens as floats, which are exact below 2^24."""
        return self.layers(self.embed_grid(observations.long()))

    def embed_grid(self, tokens: Tensor) -> Tensor:
        """Returns code vectors (n, stack x D, rows, columns) of tokens (n, stack, K)."""
        return self._embed(tokens).unflatten(2, self._grid).permute(0, 1, 4, 2, 3).flatten(1, 2)


def option(default: Any, help: str) -> Any:
    """Declares a field of Arguments that is an option of the command line."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    game: str = option("MontezumaRevenge", "the game's usual name")
    tokenizer: str = option("runs/<game>/tokenizer", "folder, name or Hub repo id")
    untrained: bool = option(False, "take a tokenizer's fresh weights")
    steps: int = option(100_000, "steps of training")
    num_envs: int = option(8, "environments at once")
    rollout_steps: int = option(128, "steps per environment and update")
    frame_stack: int = option(4, "frames that the agent sees")
    episodes: int = option(10, "episodes of the evaluation")
    episode_steps: int = option(4500, "longest episode")
    seed: int = option(0, "seed of everything random")
    device: str = option(choose_device().type, "cpu, cuda ...")


@dataclass(frozen=True)
class Scores:
    """Mean unclipped score per episode.

    Attributes:
        trained: The policy, with actions drawn as in training.
        random: Uniformly random play.
    """

    trained: float
    random: float


def main(arguments: Arguments) -> Scores:
    """Trains and evaluates; prints and returns the scores."""
    game = usual_name(arguments.game)
    tokenizer = load_tokenizer(game, arguments)
    env = vector_env(game, tokenizer, arguments, clip_rewards=True)
    agent = PPO(
        "MlpPolicy",
        env,
        policy_kwargs={
            "features_extractor_class": CodeFeatures,
            "features_extractor_kwargs": {"tokenizer": tokenizer},
            "net_arch": [],
        },
        n_steps=arguments.rollout_steps,
        batch_size=min(256, arguments.rollout_steps * arguments.num_envs),
        n_epochs=4,
        learning_rate=2.5e-4,
        clip_range=0.1,
        ent_coef=0.01,
        seed=arguments.seed,
        device=tokenizer.device,
        verbose=1,
    )
    agent.learn(arguments.steps)
    env.close()
    scores = Scores(*play(agent, game, tokenizer, arguments))
    print(
        f"{game}, mean score over {arguments.episodes} episodes: PPO after {agent.num_timesteps} "
        f"steps {scores.trained:.1f}, random play {scores.random:.1f}"
    )
    return scores


def load_tokenizer(game: str, arguments: Arguments) -> Tokenizer:
    """Loads the trained tokenizer, or makes a fresh one, on the device."""
    torch.manual_seed(arguments.seed)
    if arguments.untrained:
        tokenizer = Tokenizer(TokenizerConfig())
    else:
        tokenizer = Tokenizer.from_pretrained(arguments.tokenizer.replace("<game>", game))
    return tokenizer.to(arguments.device).eval()


def vector_env(
    game: str, tokenizer: Tokenizer, arguments: Arguments, clip_rewards: bool
) -> VecFrameStack:
    """Makes the environments that the agent sees.

    Args:
        game: The game's usual name.
        tokenizer: Encodes the frames.
        arguments: Number of environments, seed and stack.
        clip_rewards: Whether rewards are replaced by their signs, as is usual for Atari.
    """

    def one() -> gymnasium.Env:
        height, width, _ = tokenizer.frame_shape
        limit = arguments.episode_steps
        return make_env(game, frame_height=height, frame_width=width, max_episode_steps=limit)

    # The wrapper goes around SB3's Monitor, so that the scores in its log are the game's.
    env = make_vec_env(
        one,
        arguments.num_envs,
        seed=arguments.seed,
        wrapper_class=signs if clip_rewards else None,  # pyright: ignore[reportArgumentType]
    )
    return VecFrameStack(Tokens(env, tokenizer), arguments.frame_stack, channels_order="first")


def signs(env: gymnasium.Env) -> gymnasium.Env:
    """Replaces rewards by their signs."""
    return TransformReward(env, lambda reward: float(np.sign(float(reward))))


def play(
    agent: BaseAlgorithm, game: str, tokenizer: Tokenizer, arguments: Arguments
) -> tuple[float, float]:
    """Returns the mean scores of the agent and of random play."""
    env = vector_env(game, tokenizer, arguments, clip_rewards=False)
    trained, _ = evaluate_policy(agent, env, arguments.episodes, deterministic=False)
    env.close()
    uniform = Monitor(make_env(game, max_episode_steps=arguments.episode_steps))
    uniform.action_space.seed(arguments.seed)
    for episode in range(arguments.episodes):
        uniform.reset(seed=arguments.seed + episode)
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = uniform.step(uniform.action_space.sample())
            ended = terminated or truncated
    assert isinstance(trained, float)
    return trained, float(np.mean(uniform.get_episode_rewards()))


def parse(words: list[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for each in fields(Arguments):
        kind = {"action": "store_true"} if each.type is bool else {"type": each.type}
        name = f"--{each.name.replace('_', '-')}"
        parser.add_argument(name, default=each.default, **kind, **each.metadata)
    return Arguments(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
