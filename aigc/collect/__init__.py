"""Readers: files → items and events, with every refused row accounted for."""
