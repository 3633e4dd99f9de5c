from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from worldtokens.training.typed_words import quote_words, swept_keys, usual_game


@pytest.mark.parametrize(
    "value",
    (
        "/a/ünï", "/日本/x", "/a/lr=1e-3", "/a#b", "run(1)", "[1]/x", "it's", "a&b", "{x", '"q"/x',
        "a'\\", "\\'", "a b", "C:\\x\\", "a:b", "1e-3", "x!y", "a;b", "a<b>", "`a`", "a|b", "%s",
    ),
)  # fmt: skip
def test_values_are_taken_as_they_are(value):
    (word,) = quote_words([f"data={value}"])
    override = OverridesParser.create().parse_override(word)
    assert override.key_or_group == "data"
    assert str(override.value()) == (value if value != "1e-3" else "0.001")


def test_what_hydra_knows_stays():
    words = ["a=1", "+b=[1,2]", "++c.d={x: 1}", "~e", "f=a,b", "g='x y'", "h=", "-m", "i=${a}"]
    assert quote_words(words) == words
    assert quote_words(["--config-dir", "any thing", "policy=random"]) == [
        "--config-dir", "any thing", "policy=random",
    ]  # fmt: skip


def test_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert quote_words(["data=~/x", "out=~", "~run"]) == [
        "data=/home/somebody/x", "out=/home/somebody", "~run",
    ]  # fmt: skip
    assert Path("~").expanduser() == Path("/home/somebody")


@pytest.mark.parametrize(
    ("word", "message"),
    (
        ("Pong", "argument 'Pong': expected KEY=VALUE, got no '='"),
        ("", "argument '': expected KEY=VALUE, with a key that --help shows"),
        ("ü=1", "argument 'ü=1': expected KEY=VALUE, with a key"),
        ("=1", "argument '=1': expected KEY=VALUE, with a key"),
        ("a b=1", "argument 'a b=1': expected KEY=VALUE, with a key"),
    ),
)
def test_other_words_are_named(word, message):
    with pytest.raises(ValueError, match=message):
        quote_words([word])


def test_keys_with_several_values():
    words = ["env=Pong", "model.layers=1,2", "seed=range(3)", "data=/a", "-m", "+x=choice(a,b)"]
    assert swept_keys(words) == ["model.layers", "seed", "x"]


@pytest.mark.parametrize(
    ("spelled", "name"),
    (
        ("ALE/Pong-v5", "Pong"), ("PongNoFrameskip-v4", "Pong"), ("pong", "Pong"),
        ("montezuma_revenge", "MontezumaRevenge"), ("Pong", "Pong"), ("flowers", "flowers"),
        ("Flowers", "Flowers"), ("photos-v2", "photos-v2"),
    ),
)  # fmt: skip
def test_one_game_has_one_folder(spelled, name):
    assert usual_game(spelled) == name
    assert quote_words([f"env={spelled}"]) == [f"env={name}"]
