"""The command line: open things, call one function, print."""
