"""The training package: composed lines -> a trained network -> an ONNX file. Only this package loads torch."""
