"""Learned choices among few arms, each with the probability it was chosen with."""
