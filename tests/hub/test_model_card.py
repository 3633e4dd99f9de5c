import pytest
from huggingface_hub import ModelCardData

from worldtokens.hub.model_card import CardFacts, CardModel, make_card

HEADER = ModelCardData(library_name="worldtokens", license="mit", tags=["atari"])
MODEL = CardModel(
    title="Frame tokenizer",
    summary="Turns a frame into tokens.",
    rows=[("frames", "uint8, 16 x 24 x 3")],
    usage="import worldtokens",
    metrics={
        "psnr": ("PSNR", "{:.2f} dB"),
        "foreground_recall": ("foreground recall", "{:.3f}"),
        "foreground_recall_per_scene": ("foreground recall by scene", ""),
        "probe_f1": ("probe F1", ""),
    },
    evaluation="worldtokens evaluate-tokenizer",
    limits=["It knows these frames only."],
)


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
        "## Metrics on held-out episodes",
        "import worldtokens",
        "By horizon:",
        "| 1 | 32.12 |",
        "| 50 | - |",
        "- Rooms 3 and 4 are missing.",
    ):
        assert line in lines
    assert "flicker" not in card.text
    assert lines.index("| PSNR | 31.26 dB |") < lines.index("| encode frames per second | 9531 |")


def test_unknown_facts_are_not_recorded():
    card = make_card(HEADER, MODEL, CardFacts())
    assert "| trained on | not recorded |" in card.text
    assert "Not measured yet; `worldtokens evaluate-tokenizer` does." in card.text
    assert "- It knows these frames only." in card.text


@pytest.mark.parametrize("tree", [None, [], {"game": 3, "metrics": [], "limits": "no"}])
def test_facts_of_another_form_are_unknown(tree):
    assert CardFacts.from_tree(tree) == CardFacts()
