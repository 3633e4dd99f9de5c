"""What both training scripts share: command line, run folder, checkpoints, metric writers."""
