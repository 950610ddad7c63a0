"""``python -m aigc_server.cli``: the command ``aigc`` for launchers that start modules, such as torchrun."""

from __future__ import annotations

from aigc_server.cli import main

if __name__ == "__main__":
    main()
