"""The generator process: PyTorch behind a unix socket, apart from the process that ranks."""
