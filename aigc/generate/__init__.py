"""Generators: a whole model a file, each with its training step; sampling, post-processing, quality."""
