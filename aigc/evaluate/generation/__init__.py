"""Measures of generated pictures and texts against real ones, each beside its floor of real against real."""
