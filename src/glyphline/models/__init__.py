"""The bundled readers: NAME.onnx and NAME.json, its model card."""
