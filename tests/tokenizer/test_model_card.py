import json

import pytest
from huggingface_hub import ModelCard, ModelCardData

from worldtokens.hub.model_card import CardFacts, make_card
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.card import tokenizer_card

HEADER = ModelCardData(library_name="worldtokens", license="mit", tags=["atari"])
MODEL = tokenizer_card([("frames", "uint8, 16 x 24 x 3")])


def test_all_facts_are_in_the_card():
    facts = CardFacts(
        game="FakeGame",
        data="38,000 frames of data/FakeGame",
        command="python tokenizer/train.py env=FakeGame",
        training="100 steps in 5 s",
        metrics={
            "psnr": 31.256,
            "foreground_recall": 0.5,
            "flicker": None,
            "encode_frames_per_second": 9531.04,
            "foreground_recall_per_scene": {"0": 0.75, "13": 0.25},
            "probe_f1": {"codes": {"x": 0.5, "y": 0.75}, "majority": {}},
            "by_horizon": [{"horizon": 1, "PSNR": 32.123}, {"horizon": 50, "PSNR": None}],
        },
        limits=["Rooms 3 and 4 are missing."],
    )
    card = make_card(HEADER, MODEL, facts)
    assert card.data.to_dict() == {
        "library_name": "worldtokens", "license": "mit", "tags": ["atari"],
    }  # fmt: skip
    lines = card.text.splitlines()
    for line in (
        "# Frame tokenizer of FakeGame",
        "| frames | uint8, 16 x 24 x 3 |",
        "| trained on | 38,000 frames of data/FakeGame |",
        "| trained for | 100 steps in 5 s |",
        "| trained by | `python tokenizer/train.py env=FakeGame` |",
        "| PSNR | 31.26 dB |",
        "| foreground recall | 0.500 |",
        "| foreground recall by scene | mean of 2 0.500, lowest 0.250 (13) |",
        "| probe F1, codes | mean of 2 0.625, lowest 0.500 (x) |",
        "| encode frames per second | 9531 |",
        "By horizon:",
        "| 1 | 32.12 |",
        "| 50 | - |",
        "- Rooms 3 and 4 are missing.",
    ):
        assert line in lines
    assert "flicker" not in card.text
    assert lines.index("| PSNR | 31.26 dB |") < lines.index("| encode frames per second | 9531 |")


def test_unknown_facts_are_said_to_be_unknown():
    card = make_card(HEADER, MODEL, CardFacts())
    assert "| trained on | not recorded |" in card.text
    assert "Not measured yet; `python tokenizer/evaluate.py` does." in card.text
    assert "- It knows the frames that it was trained on" in card.text


@pytest.mark.parametrize("tree", [None, [], {"game": 3, "metrics": [], "limits": "no"}])
def test_facts_of_another_form_are_unknown(tree):
    assert CardFacts.from_tree(tree) == CardFacts()


def test_the_card_says_what_the_weights_tell(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "mit" and "image-tokenizer" in card.data.tags
    weights = sum(parameter.numel() for parameter in tiny_tokenizer.parameters())
    for line in (
        "| game | not recorded |",
        "| tokens per frame | 6 (2 x 3), 12 codes: 24 bits |",
        "| architecture | patch network, fsq quantizer |",
        f"| fingerprint | `{tiny_tokenizer.fingerprint}` |",
        f"| weights | {weights:,} |",
    ):
        assert line in card.text.splitlines()


def test_facts_travel_with_the_weights(tiny_tokenizer, tmp_path):
    tiny_tokenizer.record_training(
        game="FakeGame", data="9 frames", command="python x", training="1 step",
        metrics={"psnr": 20.0, "ssim": float("nan")},
    )  # fmt: skip
    fingerprint = tiny_tokenizer.fingerprint
    tiny_tokenizer.save_pretrained(tmp_path / "run" / "export")
    assert "NaN" not in (tmp_path / "run" / "export" / "config.json").read_text()
    again = Tokenizer.from_pretrained(tmp_path / "run")
    assert again.facts.metrics == {"psnr": 20.0, "ssim": None}
    assert again.fingerprint == fingerprint
    again.record_metrics(tmp_path / "run", {"psnr": 21.0, "flicker": 0.0})
    third = Tokenizer.from_pretrained(tmp_path / "run")
    assert third.facts.metrics == {"psnr": 21.0, "ssim": None, "flicker": 0.0}
    # Saved where an older card lies, and where there is none.
    for place in (tmp_path / "run" / "export", tmp_path / "other"):
        third.save_pretrained(place)
        text = (place / "README.md").read_text()
        assert "| PSNR | 21.00 dB |" in text and "| trained on | 9 frames |" in text


def test_an_export_without_facts_still_loads(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    del tree["facts"]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    assert Tokenizer.from_pretrained(tmp_path).facts == CardFacts()
