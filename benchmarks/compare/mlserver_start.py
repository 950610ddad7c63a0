"""MLServer on one port, its REST and metrics on the next two: ``python mlserver_start.py FOLDER PORT``.

As ``mlserver start`` does, with the model in the server's own process (``parallel_workers`` 0: faster on one core) and
without the access log.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mlserver.cli.main import main

if __name__ == "__main__":
    _, folder, port = sys.argv
    settings = {
        "debug": False,
        "parallel_workers": 0,
        "host": "127.0.0.1",
        "http_port": int(port) + 1,
        "grpc_port": int(port),
        "metrics_endpoint": None,
    }
    (Path(folder) / "settings.json").write_text(json.dumps(settings))
    os.chdir(folder)
    sys.argv = ["mlserver", "start", "."]
    main()
