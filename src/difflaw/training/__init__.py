"""The loop, the optimizer, the schedule, checkpoints, and the run directory that records them."""
