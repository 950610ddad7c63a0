"""Whether the extra is there."""

from __future__ import annotations

import os

from aigc.errors import UnavailableError

__all__ = ["need_ray"]


def need_ray() -> None:
    """Call before ``import ray``.

    Raises:
        UnavailableError: The extra is not installed.
    """
    # Read when ray is imported: nothing is told to its makers unless the user wants it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.serve
        import ray.train  # noqa: F401
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"this needs Ray ({error.name} is not installed): pip install 'aigc[ray]'", reason="MISSING_EXTRA"
        ) from error
