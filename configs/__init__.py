"""The Hydra configs, packaged so that an installed wheel finds them."""
