"""A run's student as files for other programs: Hugging Face folders, ONNX, ONNX with int8."""
