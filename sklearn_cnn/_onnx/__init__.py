"""Networks as ONNX graphs, written and read. ONNX itself is imported where it is used."""
