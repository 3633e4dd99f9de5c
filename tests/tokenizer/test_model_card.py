import pytest
from huggingface_hub import ModelCard, ModelCardData

from tokenizer import Tokenizer, TokenizerConfig
from tokenizer.model_card import CardFacts, CardModel, make_card

HEADER = ModelCardData(library_name="worldtokens", license="mit", tags=["atari"])
MODEL = CardModel(
    architecture="patch network, fsq quantizer",
    frame_shape=(16, 24, 3),
    grid=(2, 3),
    tokens_per_frame=6,
    vocab_size=16,
    parameters=12345,
    fingerprint="0123456789abcdef",
)


def test_all_facts_are_in_the_card():
    facts = CardFacts(
        game="FakeGame",
        data="data/FakeGame, 38,000 frames",
        command="python tokenizer/train.py env=FakeGame",
        training="100 steps in 5 s",
        metrics={"psnr": 31.256, "foreground_recall": 0.5, "fingerprint": "0123", "flicker": None},
    )
    card = make_card(HEADER, MODEL, facts)
    assert card.data.to_dict() == {
        "library_name": "worldtokens", "license": "mit", "tags": ["atari"],
    }  # fmt: skip
    for line in (
        "# Frame tokenizer of FakeGame",
        "| frames | uint8, 16 x 24 x 3 |",
        "| tokens per frame | 6 (2 x 3), 16 codes: 24 bits |",
        "| weights | 12,345 |",
        "| trained on | data/FakeGame, 38,000 frames |",
        "| trained for | 100 steps in 5 s |",
        "| trained by | `python tokenizer/train.py env=FakeGame` |",
        "| PSNR | 31.26 dB |",
        "| foreground recall | 0.500 |",
    ):
        assert line in card.text.splitlines()
    assert "flicker" not in card.text


def test_unknown_facts_are_said_to_be_unknown():
    card = make_card(HEADER, MODEL, CardFacts())
    assert "| trained on | not recorded |" in card.text
    assert "Not measured yet; `python tokenizer/evaluate.py` does." in card.text


@pytest.fixture
def tokenizer():
    return Tokenizer(
        TokenizerConfig(
            frame_height=16,
            frame_width=24,
            network="patch",
            encoder_width=8,
            encoder_depth=1,
            decoder_width=8,
            decoder_depth=1,
            decoder_fine_depth=1,
            quantizer="fsq",
            fsq_levels=[4, 4],
        )
    )


def test_save_pretrained_writes_the_card(tokenizer, tmp_path):
    facts = CardFacts(game="FakeGame", metrics={"psnr": 20.0})
    tokenizer.save_pretrained(tmp_path, model_card_kwargs={"facts": facts})
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "mit" and "world-model" in card.data.tags
    assert f"| fingerprint | `{tokenizer.fingerprint}` |" in card.text
    assert "| PSNR | 20.00 dB |" in card.text
    weights = sum(parameter.numel() for parameter in tokenizer.parameters())
    assert f"| weights | {weights:,} |" in card.text


def test_save_pretrained_without_facts(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    assert "| game | not recorded |" in (tmp_path / "README.md").read_text()
