"""The networks, their training, and their export to ONNX."""
