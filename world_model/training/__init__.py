"""Training a world model: losses, optimizers, contexts, calibration."""
