"""Loss against size at one budget, the best sizes of all budgets, and the laws through them."""
