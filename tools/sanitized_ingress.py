"""Runs tests with another build of the ingress: ``sanitized_ingress.py FILE [pytest arguments]``."""

from __future__ import annotations

import importlib.util
import sys

import pytest

NAME = "aigc_server._ingress"


def main() -> int:
    """Put the file in the module's place, then run pytest."""
    spec = importlib.util.spec_from_file_location(NAME, sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return int(pytest.main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
