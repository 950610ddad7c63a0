"""What a candidate must pass before it may be recommended: each gate refuses for one kind of reason."""
