import copy

import torch

from worldtokens.tokenizer.quantizers import Dictionary
from worldtokens.tokenizer.quantizers.clustering import nearest_center


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


def test_patches_that_are_codes_get_the_tokens_of_the_nearest_code():
    quantizer = Dictionary(50, 12)
    codes = torch.randint(-128, 128, (50, 12), generator=generator()).float()
    codes[40] = codes[7]  # the first of equal codes counts
    codes[3] += 0.5  # a code that no patch is
    quantizer.codes.copy_(codes)
    others = torch.randint(-128, 128, (30, 12), generator=generator(1))
    levels = torch.cat((codes, codes + 1, others)).clamp(-128, 127)
    expected = nearest_center(levels.round(), codes)
    tokens = quantizer((levels.round() + 0.5) / 127.5).tokens
    assert tokens.tolist() == expected.tolist() and tokens[40] == 7


def test_codes_that_change_are_found_anew():
    quantizer = Dictionary(2, 1)
    pixels = (torch.tensor([[-100.0], [100.0]]) + 0.5) / 127.5
    quantizer.codes.copy_(torch.tensor([[-100.0], [100.0]]))
    assert quantizer(pixels).tokens.tolist() == [0, 1]
    quantizer.codes.copy_(torch.tensor([[100.0], [-100.0]]))
    assert quantizer(pixels).tokens.tolist() == [1, 0]
    copied = copy.deepcopy(quantizer)
    quantizer.load_state_dict({"codes": torch.tensor([[-100.0], [100.0]])})
    assert quantizer(pixels).tokens.tolist() == [0, 1]
    assert copied(pixels).tokens.tolist() == [1, 0]
    quantizer.codes = torch.tensor([[1.0], [-100.0]])
    assert quantizer(pixels).tokens.tolist() == [1, 0]
    with torch.inference_mode():
        fresh = Dictionary(2, 1)
        fresh.codes.copy_(torch.tensor([[-100.0], [100.0]]))
        assert fresh(pixels).tokens.tolist() == [0, 1]


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
