"""Payload formats, one module per format."""
