"""How a payload is read, one module a format."""
