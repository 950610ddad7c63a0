"""Names the packages and builds the C++ extensions with CMake; everything else is in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Configure and build each extension's CMake target into the place where setuptools wants it."""

    def build_extension(self, ext: Extension) -> None:
        """Build ``ext`` with CMake, reusing the build folder between calls."""
        name = ext.name.rpartition(".")[2]
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        build_dir = ROOT / "build" / f"kernel-{sys.implementation.cache_tag}"
        build_dir.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                "cmake",
                "-S",
                str(ROOT),
                "-B",
                str(build_dir),
                f"-DPython_EXECUTABLE={sys.executable}",
                f"-DAIGC_{name.strip('_').upper()}_OUTPUT={target}",
                "-DCMAKE_BUILD_TYPE=Release",
            ],
            check=True,
        )
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        subprocess.run(["cmake", "--build", str(build_dir), "--target", name, "-j", jobs], check=True)


setup(
    packages=find_packages(include=["aigc", "aigc.*"]) + find_packages(where="server"),
    package_dir={"aigc_server": "server/aigc_server"},
    package_data={
        "aigc": [
            "py.typed",
            "*.pyi",
            "collect/*.toml",
            "prepare/*.txt",
            "recommend/strategies/*.toml",
            "store/migrations/*",
            "v1/*.pyi",
        ]
    },
    # The ingress is left out where libgrpc++-dev is not installed; setuptools need not find its file then.
    ext_modules=[Extension("aigc._kernel", sources=[]), Extension("aigc_server._ingress", sources=[], optional=True)],
    cmdclass={"build_ext": CMakeBuild},
)
