"""A ladder that chooses its own runs: sizes, budgets and seeds, from what has finished so far.

sizes.py      the family of shapes, and which of them a budget can pay
steps.py      what is asked for, and why
sight.py      what the runs asked for so far show: profiles by the law engine
minima.py     one family: bracket the lowest budget, climb, add what an edge asks for
refine.py     all families: what the planner would run next, until the law is sure enough
drive.py      the search itself: a pure function of finished results, replayed at every start
cells.py      from what is asked for to runs in the ladder's folder, and back
"""
