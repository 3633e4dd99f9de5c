import torch

from worldtokens.tokenizer import TokenizerConfig
from worldtokens.tokenizer.networks.vqgan import VQGANNetwork

CONFIG = TokenizerConfig(
    frame_height=32, frame_width=48, network="vqgan", quantizer="vq", encoder_width=32,
    encoder_depth=1, channel_multipliers=[1, 2, 2], attention_resolutions=[16], latent_channels=8,
)  # fmt: skip


def test_layers_have_the_names_of_taming_transformers():
    network = VQGANNetwork(CONFIG, latent_dim=4, code_dim=4)
    names = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    for name in (
        "encoder.conv_in", "encoder.down.0.blocks.0.conv_1", "encoder.down.0.downsample.conv",
        "encoder.down.1.blocks.0.attention.norm", "encoder.down.1.blocks.0.shortcut",
        "encoder.mid.block_1.norm_2", "encoder.mid.attention.project_in", "encoder.norm_out",
        "encoder.conv_out", "quant_conv", "post_quant_conv", "decoder.up.0.blocks.1.conv_2",
        "decoder.up.1.upsample.conv", "decoder.conv_out",
    ):  # fmt: skip
        assert name in names
    # Neither attention at another resolution, nor a size that is changed once too often.
    assert not any(name.startswith("encoder.down.0.blocks.0.attention") for name in names)
    assert not any(name.startswith("encoder.down.2.downsample") for name in names)
    assert not any(name.startswith("decoder.up.2.upsample") for name in names)
    assert network.last_layer is network.decoder.conv_out


def test_latents_and_pixels_have_the_sizes_of_the_grid():
    network = VQGANNetwork(CONFIG, latent_dim=4, code_dim=5)
    assert network.grids == ((8, 12),)
    assert network.latents(torch.zeros(2, 3, 32, 48), []).shape == (2, 96, 4)
    assert network.decode([torch.zeros(2, 96, 5)]).shape == (2, 3, 32, 48)
