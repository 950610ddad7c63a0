"""The extra ``ray``: the same handlers under Ray Serve, the same training under Ray Train.

Modules here import ray where they use it, so that importing them costs nothing and fails without it only when asked.
"""
