"""The only training loop, its checkpoints, the registry of what it made, and the jobs that run it."""
