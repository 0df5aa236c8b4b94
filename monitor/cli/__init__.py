"""The command line: the parser, shell completion, and one module per command."""
