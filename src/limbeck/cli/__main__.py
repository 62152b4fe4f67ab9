"""``python -m limbeck.cli``: the command line without its script."""

from limbeck.cli.app import main

if __name__ == "__main__":
    main()
