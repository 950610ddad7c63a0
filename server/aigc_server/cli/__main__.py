"""``python -m aigc_server.cli``: the command ``aigc`` for launchers that start modules, such as torchrun."""

from __future__ import annotations

import os
import sys

from aigc_server.cli import main

if __name__ == "__main__":
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from aigc.training.processes import end_process

        end_process(code)
    sys.exit(code)
