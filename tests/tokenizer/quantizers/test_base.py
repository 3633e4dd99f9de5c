import torch

from worldtokens.tokenizer.quantizers import FSQ, VQ, Residual


def test_quantization_is_float32_under_autocast():
    latents = torch.tensor([[0.3001, -2.0]])
    with torch.autocast("cpu", torch.bfloat16):
        quantized = FSQ([8, 5]).in_float32(latents.bfloat16())
    assert quantized.vectors.dtype == torch.float32
    assert torch.equal(quantized.tokens, FSQ([8, 5])(latents.bfloat16().float()).tokens)


def test_the_decoder_gets_the_sum_over_depth():
    stages = Residual(lambda: VQ(4, 2, "gradient"), depth=2)
    tokens = torch.tensor([[1, 3]])
    assert torch.equal(stages.dequantize(tokens), stages.lookup(tokens).sum(-2))
    assert torch.equal(FSQ([3]).dequantize(tokens[0, :1]), torch.tensor([[0.0]]))
