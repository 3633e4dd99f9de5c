"""Loss terms of a tokenizer: reconstruction, LPIPS, adversarial."""
