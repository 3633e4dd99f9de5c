"""The page dreams what `imagine` dreams, and its keys do what they say."""

import json

import numpy as np
import pytest
import torch

from worldtokens.tokenizer.data.backgrounds import fit_backgrounds
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.probe import fit_probes

pytestmark = pytest.mark.slow
STEPS = 30


def imagine(shipped, start, actions):
    known = torch.tensor([start["tokens"]])
    rollout = shipped["model"].imagine(
        known, torch.tensor([start["actions"]]), torch.tensor([actions]), top_k=1
    )
    return rollout.tokens[0].numpy()


@pytest.fixture(scope="module")
def starts(dream_folder):
    return json.loads((dream_folder / "dream.json").read_text())["starts"]


@pytest.mark.parametrize(("weights", "least"), [("float32", 1.0), ("int8", 0.9)])
def test_scripted_steps_give_the_tokens_of_imagine(
    visit, built_page, shipped, starts, weights, least
):
    played = visit(built_page, f"?weights={weights}")
    played.wait()
    # Right, jumps, left, up and down the ladder.
    actions = ([3] * 8 + [11, 11] + [4] * 8 + [2] * 6 + [5] * 6)[:STEPS]
    equal = []
    for number in (0, len(starts) // 2, len(starts) - 1):
        played.call("await app.begin(argument)", number)
        tokens = np.array(played.steps(actions))
        equal.append((tokens == imagine(shipped, starts[number], actions)).mean())
        assert len(np.unique(tokens[:, :], axis=0)) > 5
    assert np.mean(equal) >= least, equal


@pytest.fixture(scope="module")
def read_player(shipped):
    """Reads the player's x from tokens, in RAM units; NaN where it is not seen."""
    heldout, tokenizer = shipped["heldout"], shipped["tokenizer"]
    tokens = load_tokens(heldout, tokenizer)
    probe = fit_probes(heldout, tokens, tokenizer, fit_backgrounds(heldout))["x"]

    def read(frames, room):
        decoded = tokenizer.decode(np.asarray(frames, np.int64)).numpy()
        return probe.read(decoded, np.full(len(decoded), room))

    return read


def net_movement(x):
    x = x[~np.isnan(x)]
    return float(x[-1] - x[0]) if len(x) > 3 else 0.0


def walkable_start(shipped, starts, read_player):
    """A start from which the model lets the player walk to both sides, and its room."""
    for number, start in enumerate(starts):
        room = int(start["name"].split()[1].rstrip(","))
        sides = [
            net_movement(read_player(imagine(shipped, start, [action] * 8), room))
            for action in (3, 4)
        ]
        if sides[0] > 6 and sides[1] < -6:
            return number, room
    pytest.fail("in no start does the model let the player walk to both sides")


def test_the_arrow_keys_move_the_player_to_their_side(
    visit, built_page, shipped, starts, read_player
):
    number, room = walkable_start(shipped, starts, read_player)
    played = visit(built_page)
    played.wait()
    for key, side in (("ArrowRight", 1), ("KeyA", -1)):
        played.call("await app.begin(argument)", number)
        played.page.keyboard.down(key)
        played.wait_for("worldtokens.dream.at >= 8")
        played.page.keyboard.up(key)
        played.call("await app.pause()")
        tokens = played.call("return app.dream.steps.slice(0, 8).map(({tokens}) => [...tokens])")
        assert side * net_movement(read_player(tokens, room)) > 6, key
        names = played.call(
            "return app.dream.steps.slice(1, 8).map(({action}) =>"
            " app.engine.description.actions[action].name)"
        )
        assert set(names) == {"RIGHT" if side > 0 else "LEFT"}


def test_it_says_what_it_plays(visit, built_page, starts):
    played = visit(built_page)
    played.wait()
    page = played.page
    assert page.inner_text("#game") == "Montezuma Revenge"
    played.wait_for(f"document.querySelectorAll('#starts button').length === {len(starts)}")
    assert page.locator("#starts button[aria-pressed=true]").count() == 1
    assert "64 tokens of 8192" in page.inner_text("#facts")
    # Our server lets the page use threads.
    assert page.evaluate("crossOriginIsolated") is True
    # Every action of the game.
    assert page.inner_text("#action-count") == "18"


def test_a_drawn_dream_is_a_function_of_its_seed(visit, built_page):
    played = visit(built_page)
    played.wait()
    dreams = []
    for seed in (5, 5, 6):
        played.call("await app.begin(0); app.dream.seed = argument;", seed)
        dreams.append(played.steps([3] * 12, 1.0))
    assert dreams[0] == dreams[1] != dreams[2]


def test_the_heat_map_shows_where_the_model_is_unsure(visit, built_page):
    played = visit(built_page)
    played.wait()
    played.steps([3] * 6)
    pixels = (
        "return [...document.getElementById('heat').getContext('2d').getImageData(0, 0, 8, 8).data]"
    )
    assert played.page.is_hidden("#heat")
    played.page.click("#heat-switch")
    alpha = np.array(played.call(pixels)).reshape(64, 4)[:, 3]
    entropy = np.array(played.call("return [...app.dream.last.entropy]"))
    assert alpha[entropy.argmax()] == alpha.max() > 0
    # Drawn in 256 steps; a model that is a little unsure everywhere leaves no place quite clear.
    assert alpha[entropy == entropy.min()].max() == alpha.min() < alpha.max() / 4
    assert played.page.get_attribute("#heat-switch", "aria-pressed") == "true"
