import numpy as np
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.networks.patch import from_patches, to_patches

CONFIG = TokenizerConfig(
    frame_height=21, frame_width=18, network="patch", quantizer="fsq", encoder_width=32,
    encoder_depth=1, decoder_width=8, decoder_depth=1, decoder_fine_depth=1,
)  # fmt: skip


def test_patches_are_row_major_and_come_back():
    pixels = torch.arange(2 * 3 * 8 * 12).float().reshape(2, 3, 8, 12)
    patches = to_patches(pixels, 4)
    assert patches.shape == (2, 6, 48)
    # Patch 4 is the second of the lower row: rows 4 to 7, columns 4 to 7; channels run fastest.
    assert torch.equal(patches[1, 4, :3], pixels[1, :, 4, 4])
    assert torch.equal(patches[1, 4, 3:6], pixels[1, :, 4, 5])
    assert torch.equal(from_patches(patches, (2, 3), 4), pixels)


def test_a_dictionary_decoder_starts_as_its_patches():
    torch.manual_seed(0)
    tokenizer = Tokenizer(TokenizerConfig()).eval()
    frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    tokens = torch.randint(0, 4096, (4, 64))
    codes = tokenizer.embed(tokens)
    expected = from_patches(codes, (8, 8), 8)
    decoded = tokenizer.network.decode([codes])
    torch.testing.assert_close(decoded, expected)
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    assert torch.equal(tokenizer.decode(tokenizer.encode(frames)), frames)


def test_a_padded_patch_keeps_its_token_when_others_change():
    torch.manual_seed(0)
    tokenizer = Tokenizer(CONFIG).eval()
    frames = np.random.default_rng(0).integers(0, 256, (4, 21, 18, 3), dtype=np.uint8)
    after = frames.copy()
    # The 8 rows and columns that end one pixel before the last patch's; their tokens may change.
    after[:, 8:16, 8:16] = 255 - after[:, 8:16, 8:16]
    tokens, changed = tokenizer.encode(frames), tokenizer.encode(after)
    assert (tokens != changed).any(0).nonzero().flatten().tolist() == [4]
