"""One file a kind of generator: its data, its options with sane defaults, and how task and generator are made."""
