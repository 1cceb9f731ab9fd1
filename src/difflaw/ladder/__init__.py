"""A ladder as data: its plan, its cells, where they run, what has finished."""
