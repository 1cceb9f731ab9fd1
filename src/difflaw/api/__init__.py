"""The front door in Python: what the shell's verbs do, as functions on DataFrames, paths and configs."""
