import torch

from worldtokens.tokenizer.quantizers import Dictionary


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_dictionary_keeps_grey_levels_exactly():
    levels = torch.arange(256).float()
    pixels = (levels / 127.5 - 1).repeat(3, 1).T
    quantizer = Dictionary(256, 3)
    quantizer.start([pixels[None]], generator())
    quantized = quantizer(pixels)
    assert sorted(quantized.tokens.tolist()) == list(range(256))
    torch.testing.assert_close(quantized.vectors, pixels)


def test_dictionary_finds_the_nearest_patch():
    quantizer = Dictionary(2, 2)
    quantizer.codes.copy_(torch.tensor([[-128.0, 0.0], [127.0, 0.0]]))
    pixels = torch.tensor([[[100, 0], [127, 255], [128, 7]]]) / 127.5 - 1
    assert quantizer(pixels).tokens.tolist() == [[0, 0, 1]]


def test_a_patch_that_changes_gets_a_code_among_many_that_stand_still():
    wall = torch.full((10_000, 3), -1.0) + torch.randint(0, 3, (10_000, 3)) / 127.5
    sprite = torch.tensor([[1.0, 1.0, -1.0]]).repeat(100, 1)
    quantizer = Dictionary(4, 3)
    weights = [torch.full((10_000,), 0.05), torch.ones(100)]
    quantizer.start([wall, sprite], generator(), weights)
    torch.testing.assert_close(quantizer(sprite).vectors, sprite)


def test_a_dictionary_weighs_patches_by_how_often_they_occur():
    quantizer = Dictionary(1, 1)
    levels = torch.tensor([[0.0], [0.0], [0.0], [100.0]]) / 127.5 - 1
    quantizer.start([levels], generator())
    assert quantizer.codes.tolist() == [[-103.0]]
    quantizer.start([levels], generator(), [torch.tensor([1.0, 1.0, 1.0, 9.0])])
    assert quantizer.codes.tolist() == [[-53.0]]
