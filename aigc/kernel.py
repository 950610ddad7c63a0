"""The typed numpy face of the C++ extension: the Engine, and the kernels it is built from.

Everything here releases the GIL while it works and refuses numbers that are not finite with ValueError.
"""

from __future__ import annotations

from aigc._kernel import (
    Engine,
    Plan,
    Query,
    Results,
    Source,
    State,
    build_id_slots,
    dpp,
    exact_search,
    mmr,
    set_simd_level,
    simd_level,
    simd_levels,
    top_k_rows,
    top_k_similarity,
)

__all__ = [
    "Engine",
    "Plan",
    "Query",
    "Results",
    "Source",
    "State",
    "build_id_slots",
    "dpp",
    "exact_search",
    "mmr",
    "set_simd_level",
    "simd_level",
    "simd_levels",
    "top_k_rows",
    "top_k_similarity",
]
