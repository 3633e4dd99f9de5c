"""Stable-Baselines3's PPO on the code vectors of a frozen tokenizer.

    pip install 'worldtokens[sb3]'
    python examples/sb3_ppo.py --game Breakout --steps 100000
    python examples/sb3_ppo.py --game FakeGame --untrained --steps 2000

The agent gets the tokens of the last frames; a small convolutional network reads their code
vectors, laid out on the tokens' grid. The tokenizer is the one of runs/<game>/tokenizer unless
--tokenizer names another. Prints the mean score of the trained policy beside that of random play.
"""

import argparse
import sys
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.wrappers import TransformReward
from torch import Tensor, nn

from worldtokens.envs import make_env, usual_name
from worldtokens.tokenizer import Tokenizer, TokenizerConfig

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
    """Frames of an SB3 vector environment to tokens, int64 (1, K).

    The frames of all environments are encoded in one batch, those that ended an episode too. SB3's
    rollout buffer so holds K numbers a frame.
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
        """Finishes a step; what SB3 keeps of an episode's end is encoded as well."""
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
    """Tokens of stacked frames (n, stack, K) to features (n, features), by way of code vectors.

    The tokenizer stays frozen and no part of the policy: only its `embed` is called.
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
        """See the class; SB3 hands the tokens over as floats, exact below 2^24."""
        return self.layers(self.lay_out(observations.long()))

    def lay_out(self, tokens: Tensor) -> Tensor:
        """Code vectors (n, stack x D, rows, columns) of tokens (n, stack, K)."""
        return self._embed(tokens).unflatten(2, self._grid).permute(0, 1, 4, 2, 3).flatten(1, 2)


@dataclass(frozen=True)
class Arguments:
    """The command line; see `parse`."""

    game: str
    tokenizer: str
    untrained: bool
    steps: int
    num_envs: int
    rollout_steps: int
    frame_stack: int
    episodes: int
    episode_steps: int
    seed: int
    device: str


@dataclass(frozen=True)
class Scores:
    """Mean unclipped score per episode.

    Attributes:
        trained: Of the policy, its actions drawn as in training.
        random: Of uniformly random play.
    """

    trained: float
    random: float


def main(arguments: Arguments) -> Scores:
    """Trains, then plays; prints and returns the scores."""
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
    """The trained tokenizer, or a fresh one, on the device."""
    torch.manual_seed(arguments.seed)
    if arguments.untrained:
        tokenizer = Tokenizer(TokenizerConfig())
    else:
        place = arguments.tokenizer or f"runs/{game}/tokenizer"
        tokenizer = Tokenizer.from_pretrained(place)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return tokenizer.to(arguments.device or device).eval()


def vector_env(
    game: str, tokenizer: Tokenizer, arguments: Arguments, clip_rewards: bool
) -> VecFrameStack:
    """The environments that the agent sees.

    Args:
        game: The game's usual name.
        tokenizer: What its frames pass through.
        arguments: Number of environments, seed and stack.
        clip_rewards: Whether the agent gets the signs of rewards, as is usual for Atari.
    """

    def one() -> gymnasium.Env:
        height, width, _ = tokenizer.frame_shape
        limit = arguments.episode_steps
        return make_env(game, frame_height=height, frame_width=width, max_episode_steps=limit)

    # Outside of SB3's Monitor, so that the scores in its log are the game's.
    env = make_vec_env(
        one,
        arguments.num_envs,
        seed=arguments.seed,
        wrapper_class=signs if clip_rewards else None,  # pyright: ignore[reportArgumentType]
    )
    return VecFrameStack(Tokens(env, tokenizer), arguments.frame_stack, channels_order="first")


def signs(env: gymnasium.Env) -> gymnasium.Env:
    """Clips rewards to their signs."""
    return TransformReward(env, lambda reward: float(np.sign(float(reward))))


def play(
    agent: BaseAlgorithm, game: str, tokenizer: Tokenizer, arguments: Arguments
) -> tuple[float, float]:
    """Mean scores of the agent and of random play."""
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
    parser = argparse.ArgumentParser(description="PPO over the code vectors of a tokenizer.")
    parser.add_argument("--game", default="MontezumaRevenge", help="its usual name")
    parser.add_argument("--tokenizer", default="", help="folder, name or Hub repo id")
    parser.add_argument("--untrained", action="store_true", help="take a tokenizer's fresh weights")
    parser.add_argument("--steps", type=int, default=100_000, help="steps of training")
    parser.add_argument("--num-envs", type=int, default=8)
    parser.add_argument("--rollout-steps", type=int, default=128, help="per environment and update")
    parser.add_argument("--frame-stack", type=int, default=4)
    parser.add_argument("--episodes", type=int, default=10, help="episodes to judge by")
    parser.add_argument("--episode-steps", type=int, default=4500, help="length of an episode")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="", help="cpu, cuda ...; by default cuda if present")
    return Arguments(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
