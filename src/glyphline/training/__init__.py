"""The learning wing: lines -> a trained reader -> an ONNX file. Only this wing loads torch."""
