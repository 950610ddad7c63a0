"""Runs tests, or a server, with another build of the ingress.

sanitized_ingress.py FILE [pytest arguments]
sanitized_ingress.py FILE aigc [the command's arguments]
"""

from __future__ import annotations

import importlib.util
import sys

import pytest

NAME = "aigc_server._ingress"


def main() -> int:
    """Put the file in the module's place, then run what was asked for."""
    spec = importlib.util.spec_from_file_location(NAME, sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    if sys.argv[2:3] == ["aigc"]:
        from aigc_server.cli import main as aigc

        sys.argv[:3] = ["aigc"]
        aigc()
        return 0
    return int(pytest.main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
