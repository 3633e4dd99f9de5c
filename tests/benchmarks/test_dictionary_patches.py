import dictionary_patches
import numpy as np
import pytest
import torch
from dictionary_patches import measure, without_decoder

from worldtokens import Tokenizer


def test_patches_alone_are_the_codes_side_by_side(tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    torch.nn.init.constant_(tokenizer.network.last_layer.bias, 1.0)
    tokens = torch.arange(16)
    frame = without_decoder(tokenizer).decode(tokens)
    # Codes are whole grey levels in [-128, 127]; token 5 stands at row 1, column 1.
    code = tokenizer.quantizers[0].codes[5].reshape(8, 8, 3) + 128
    assert torch.equal(frame[8:16, 8:16].float(), code)
    # The decoder of the tokenizer itself still adds what it says.
    assert int((tokenizer.decode(tokens).int() - frame.int()).min()) >= 0
    assert not torch.equal(tokenizer.decode(tokens), frame)


def test_frames_that_are_made_of_patches_are_exact_without_a_decoder(tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    frames = without_decoder(tokenizer).decode(torch.arange(16)[None]).numpy()
    torch.nn.init.constant_(tokenizer.network.last_layer.bias, 1.0)
    quality = measure(tokenizer, frames)
    assert quality.patches > 80 and quality.decoder < 20 and quality.frames == 1


def test_main_on_a_dataset(dataset, tokenizer_folder, run_script, capsys):
    run_script(
        dictionary_patches.main, "--data", dataset, "--tokenizer", tokenizer_folder, "--every", 10
    )
    frames, patches, decoder = capsys.readouterr().out.splitlines()
    # Frames 0, 10, 20 and 30 of the held-out episode.
    assert frames.split() == ["held-out", "frames", "4"]
    # The decoder of fresh weights adds nothing.
    assert patches.split()[2] == decoder.split()[1] and 3 < float(decoder.split()[1]) < 30


def test_other_tokenizers_are_refused(new_tiny_tokenizer):
    with pytest.raises(ValueError, match="--tokenizer: expected network=dictionary, got patch"):
        measure(new_tiny_tokenizer(), np.zeros((1, 16, 24, 3), np.uint8))
