"""Cleaning: what came in → what can be trained on and shown, each step named and counted."""
