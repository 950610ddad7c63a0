"""The typed numpy face of the C++ extension: the Engine, and the kernels it is built from.

Everything here releases the GIL while it works and refuses wrong dtypes, shapes and numbers that are not finite with
ValueError. The one exception is the ``base`` of ``exact_search``, which is checked once, when a snapshot is built, and
not for each search.
"""

from __future__ import annotations

from aigc._kernel import (
    Engine,
    Plan,
    Query,
    Results,
    Source,
    State,
    TextDecoder,
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
    "TextDecoder",
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
