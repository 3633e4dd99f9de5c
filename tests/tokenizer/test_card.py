from huggingface_hub import ModelCard

from worldtokens.tokenizer import TokenizerConfig
from worldtokens.tokenizer.card import summarize


def test_the_card_describes_the_model(tiny_tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "mit" and "image-tokenizer" in card.data.tags
    weights = sum(parameter.numel() for parameter in tiny_tokenizer.parameters())
    for line in (
        "| game | not recorded |",
        "| frames | uint8, 16 x 24 x 3 |",
        "| tokens per frame | 6 (2 x 3), 12 codes: 24 bits |",
        "| architecture | patch network, fsq quantizer |",
        f"| fingerprint | `{tiny_tokenizer.fingerprint}` |",
        f"| weights | {weights:,} |",
    ):
        assert line in card.text.splitlines()
    assert "Not measured yet; `worldtokens evaluate-tokenizer` does." in card.text
    assert "from worldtokens import Tokenizer\n" in card.text


def test_a_summary_names_all_levels():
    config = TokenizerConfig(network="vqvae2", quantizer="vq", residual_depth=2)
    levels = [(8, 8, 2), (16, 16, 2)]
    grids = "8x8x2 + 16x16x2 tokens of 512"
    assert summarize(config, levels, 512) == ["64x64 frames", grids, "vqvae2", "vq"]
    fast = TokenizerConfig()
    expected = ["64x64 frames", "8x8 tokens of 8192", "dictionary"]
    assert summarize(fast, [(8, 8, 1)], 8192) == expected
