from tokenizer_rows import Row, loss_words

from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.command_line import compose


def test_cells():
    row = Row("a", "1 L1", psnr=31.256, recall=0.5, lpips=None, train_rate=1234.5)
    cells = dict(zip(Row.headings(), row.cells(), strict=True))
    assert (cells["PSNR, dB"], cells["foreground recall"]) == ("31.26", "0.500")
    assert (cells["LPIPS"], cells["train frames/s"]) == ("weights missing", "1,234")
    assert cells["flicker"] == ""


def test_the_terms_of_a_loss():
    config = compose(TrainConfig, "tokenizer", ["env=FakeGame", "adversary.weight=0.25"])
    assert loss_words(config) == "1 L1 + 0.5 hard + 0.25 GAN"
