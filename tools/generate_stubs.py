"""Generate aigc/v1 from proto/; with --check, compare instead of writing and fail on a difference."""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools

ROOT = Path(__file__).resolve().parent.parent
STUBS = ROOT / "aigc" / "v1"
_INIT = '"""Generated from proto/aigc/v1 by tools/generate_stubs.py; nothing here is written by hand."""\n'


def generate(target: Path) -> None:
    """Write the stubs below ``target``."""
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    include = Path(grpc_tools.__file__).parent / "_proto"
    # The plugins stand beside the interpreter, which need not be on the PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{ROOT / 'proto'}",
            f"-I{include}",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet:{target}",
            *map(str, protos),
        ],
        check=True,
        env=os.environ | {"PATH": path},
    )
    (target / "aigc" / "v1" / "__init__.py").write_text(_INIT, encoding="utf-8")


def main() -> int:
    """Generate or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, and change nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / "aigc" / "v1"
        names = sorted({p.name for d in (fresh, STUBS) for p in d.iterdir() if p.suffix in (".py", ".pyi")})
        if not arguments.check:
            STUBS.mkdir(exist_ok=True)
            for name in names:
                (STUBS / name).unlink(missing_ok=True)
            for path in fresh.iterdir():
                shutil.copy(path, STUBS / path.name)
            return 0
        differing = filecmp.cmpfiles(fresh, STUBS, names, shallow=False)
        if differing[1] or differing[2]:
            print(f"stale stubs: {', '.join(differing[1] + differing[2])}; run `make proto`", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
