"""Generate aigc/v1 and aigc/oip from proto/; with --check, compare instead of writing and fail on a difference."""

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
PACKAGES = ("v1", "oip")
_INIT = '"""Generated from proto/aigc/{} by tools/generate_stubs.py; nothing here is written by hand."""\n'


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
    for package in PACKAGES:
        (target / "aigc" / package / "__init__.py").write_text(_INIT.format(package), encoding="utf-8")


def main() -> int:
    """Generate or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, and change nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = [
            name
            for package in PACKAGES
            for name in update(Path(folder) / "aigc" / package, ROOT / "aigc" / package, arguments.check)
        ]
    if stale:
        print(f"stale stubs: {', '.join(stale)}; run `make proto`", file=sys.stderr)
    return 1 if stale else 0


def update(fresh: Path, stubs: Path, check: bool) -> list[str]:
    """Bring one package up to date; with ``check`` change nothing and give the names of the files that differ."""
    stubs.mkdir(exist_ok=True)
    names = sorted({p.name for d in (fresh, stubs) for p in d.iterdir() if p.suffix in (".py", ".pyi")})
    if check:
        _, differing, absent = filecmp.cmpfiles(fresh, stubs, names, shallow=False)
        return differing + absent
    for name in names:
        (stubs / name).unlink(missing_ok=True)
    for path in fresh.iterdir():
        shutil.copy(path, stubs / path.name)
    return []


if __name__ == "__main__":
    sys.exit(main())
