"""The one error people are meant to see: wrong input, said in a line or two."""


class InputError(ValueError):
    """Input from outside (config, corpus, checkpoint, table, budget) that cannot be used.

    The message says what is wrong, where (file, key or row) and what would be right.
    The command line turns it into exit code 2 without a traceback.
    """
