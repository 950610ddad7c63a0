"""What the Open Inference Protocol calls a model: named tensors in, named tensors out."""
