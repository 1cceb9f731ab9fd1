"""`python -m difflaw` is the command line."""

from difflaw.cli import main

if __name__ == "__main__":
    main()
