"""Names the packages and builds ``aigc._kernel`` with CMake; everything else is in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Configure and build the one CMake target ``_kernel`` into the place where setuptools wants it."""

    def build_extension(self, ext: Extension) -> None:
        """Build ``ext`` with CMake, reusing the build folder between calls."""
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
                f"-DAIGC_KERNEL_OUTPUT={target}",
                "-DCMAKE_BUILD_TYPE=Release",
            ],
            check=True,
        )
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        subprocess.run(["cmake", "--build", str(build_dir), "--target", "_kernel", "-j", jobs], check=True)


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
    ext_modules=[Extension("aigc._kernel", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
)
