"""Every kernel test that asks for ``simd`` runs once at each instruction-set level of this processor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aigc.kernel import set_simd_level, simd_level, simd_levels


@pytest.fixture(params=simd_levels())
def simd(request: pytest.FixtureRequest) -> Iterator[str]:
    before = simd_level()
    set_simd_level(request.param)
    yield request.param
    set_simd_level(before)
