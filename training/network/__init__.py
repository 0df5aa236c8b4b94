"""The networks, their training loop, and their export to ONNX."""
