"""The ranking of policies: its numbers by hand, and a tiny run of all of it."""

import csv
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import policy_ranking
import pytest
import torch
from policy_ranking import Ranking, rank, ranks_of, spearman

from worldtokens.tokenizer import Tokenizer


def test_spearman_by_hand():
    assert ranks_of(np.array([3.0, 1.0, 3.0, 9.0])).tolist() == [1.5, 0.0, 1.5, 3.0]
    a = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert spearman(a, a**3) == pytest.approx(1.0) and spearman(a, -a) == pytest.approx(-1.0)
    # 1 - 6 * sum of d^2 / (n (n^2 - 1)) with d = 1, -1, 0, 1, -1.
    assert spearman(a, np.array([2.0, 1.0, 3.0, 5.0, 4.0])) == pytest.approx(1 - 6 * 4 / 120)
    assert np.isnan(spearman(a, np.ones(5)))


def test_the_interval_is_over_moments():
    rng = np.random.default_rng(0)
    quality = np.arange(6.0)[:, None]
    game = quality + rng.normal(size=(6, 50))
    clear = rank(quality + rng.normal(size=(6, 50)), game, seed=0)
    assert clear.rho == pytest.approx(1.0) and clear.low > 0.8 and clear.undefined == 0
    noisy = rank(quality + 20 * rng.normal(size=(6, 50)), game, seed=0)
    assert noisy.high - noisy.low > clear.high - clear.low
    assert noisy.low <= noisy.rho <= noisy.high
    # One of four moments pays, and only the last policy: 0.75 ** 4 of the resamples lack it.
    rare = np.zeros((3, 4))
    rare[2, 0] = 1.0
    assert rank(rare, rare, 0).undefined == pytest.approx(0.75**4, abs=0.03)
    nothing = rank(np.zeros((3, 4)), rare, 0)
    assert np.isnan(nothing.rho) and np.isnan(nothing.low) and nothing.undefined == 1.0
    assert (nothing.policies, nothing.moments) == (3, 4)


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("cleanrl_ppo", policy_ranking.EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def words(tmp_path, dataset, tokenizer_folder, example, model):
    """A command line over a world model with fresh weights and four policies."""
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    model.save_pretrained(tmp_path / "world_model" / "export")
    (tmp_path / "policies").mkdir()
    for steps in (0, 10, 200, 3000):
        agent = example.Agent(torch.randn(16, 5), tokenizer.tokens_per_frame, 6, 2)
        torch.nn.init.normal_(agent.policy.weight)
        facts = {"steps": steps, "tokenizer": tokenizer.fingerprint}
        agent.save(tmp_path / "policies" / f"policy_{steps}.safetensors", facts)
    return [
        "--game", "FakeGame", "--policies", str(tmp_path / "policies"), "--tokenizer",
        str(tokenizer_folder), "--world-model", str(tmp_path / "world_model"), "--data",
        str(dataset), "--moments", "4", "--horizon", "5", "--lead", "6", "--out",
        str(tmp_path / "out"), "--device", "cpu",
    ]  # fmt: skip


def test_a_tiny_run(run_script, words, tmp_path, capsys):
    run_script(policy_ranking.main, *words, "--random-shares", "1", "0.5")
    folder = tmp_path / "out" / "FakeGame"
    with open(folder / "policies.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["policy"] for row in rows] == [
        "policy_0", "policy_10", "policy_200", "policy_3000", "policy_3000", "policy_3000"
    ]  # fmt: skip
    assert [float(row["random_share"]) for row in rows] == [0, 0, 0, 0, 1, 0.5]
    # The fresh world model pays at random, the game pays nothing in five steps.
    assert any(float(row["dream"]) > 0 for row in rows)
    assert all(float(row["game"]) == 0 for row in rows)
    ranking = json.loads((folder / "ranking.json").read_text())
    assert ranking["rho"] is None and ranking["undefined"] == 1.0 and ranking["moments"] == 4
    assert (folder / "ranking.png").stat().st_size > 5000
    printed = capsys.readouterr().out
    assert "No rho in 100% of resamples: all policies were paid alike" in printed
    assert "| 6 | policy_3000 | 0.5 |" in printed


def test_agents_of_the_key_are_ranked(words, tmp_path):
    file = policy_ranking.EXAMPLE.with_name("montezuma_agent.py")
    args = policy_ranking.parse([*words, "--agent", str(file), "--horizon", "3"])
    tokenizer = Tokenizer.from_pretrained(args.tokenizer)
    spec = importlib.util.spec_from_file_location("montezuma_agent", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    args.policies = [tmp_path / "agents"]
    for steps in (0, 20, 300):
        agent = module.Agent(torch.randn(16, 5), tokenizer.grid, 6)
        facts = {"steps": steps, "tokenizer": tokenizer.fingerprint}
        agent.save(args.policies[0] / f"round_{steps:03d}.safetensors", facts)
    rows, ranking = policy_ranking.measure(args)
    assert [row.policy for row in rows] == ["round_000", "round_020", "round_300"]
    assert (ranking.policies, ranking.moments) == (3, 4)


def test_a_policy_without_random_actions_is_listed_once(words, example):
    args = policy_ranking.parse([*words, "--random-shares", "1", "0.5", "0"])
    tokenizer = Tokenizer.from_pretrained(args.tokenizer)
    players = policy_ranking.load_players(args, tokenizer)
    shares = [(player.name, player.random_share) for player in players]
    assert shares[-3:] == [("policy_3000", 1.0), ("policy_3000", 0.5), ("policy_3000", 0.0)]
    assert len(shares) == 6


def test_wrong_arguments_are_named(words, tmp_path, new_tiny_tokenizer):
    args = policy_ranking.parse(words)
    with pytest.raises(ValueError, match="expected a policy that reads tokens of tokenizer"):
        policy_ranking.load_players(args, new_tiny_tokenizer())
    tokenizer = Tokenizer.from_pretrained(args.tokenizer)
    args.policies = [Path(args.policies[0]) / "policy_0.safetensors"]
    with pytest.raises(ValueError, match="--policies: expected at least 3 policies .*, got 1"):
        policy_ranking.load_players(args, tokenizer)
    args.agent = tmp_path / "none.py"
    with pytest.raises(ValueError, match="--agent: expected a Python file, got .*none.py"):
        policy_ranking.load_players(args, tokenizer)
    with pytest.raises(ValueError, match="--moments: expected a whole number of at least 2, got 1"):
        policy_ranking.parse([*words, "--moments", "1"])
    with pytest.raises(ValueError, match="--random-shares 1.5: expected a number in"):
        policy_ranking.parse([*words, "--random-shares", "1.5"])
    with pytest.raises(ValueError, match="has no archive of saved states"):
        policy_ranking.measure(policy_ranking.parse([*words, "--start", "cells"]))  # fmt: skip


def test_the_picture_shows_all_policies(tmp_path, words):
    args = policy_ranking.parse(words)
    rows = [policy_ranking.Row(f"p{n}", 0.0, n, 0.3, 2 * n, 0.5) for n in range(10)]
    policy_ranking.write(rows, Ranking(1.0, 0.9, 1.0, 0.0, 10, 4), args)
    ranking = json.loads((tmp_path / "out" / "FakeGame" / "ranking.json").read_text())
    assert (ranking["rho"], ranking["low"], ranking["horizon"]) == (1.0, 0.9, 5)
