"""What a law recommends: the run for a budget, its forecast stored and scored, the runs to make next."""
