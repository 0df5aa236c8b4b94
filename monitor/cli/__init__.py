"""What is typed: the parser, and one module a command."""
