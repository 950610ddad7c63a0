"""Names the packages and builds the C++ extensions with CMake; everything else is in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
EXTENSIONS = ["aigc._kernel"]
# The ingress needs libgrpc++-dev, and everything works without it.
if any(Path(f, "grpcpp/generic/async_generic_service.h").exists() for f in ("/usr/include", "/usr/local/include")):
    EXTENSIONS.append("aigc_server._ingress")


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
                # One at a time: what an earlier build left in CMake's cache must not ask for another's headers.
                f"-DAIGC_KERNEL_OUTPUT={target if name == '_kernel' else ''}",
                f"-DAIGC_INGRESS_OUTPUT={target if name == '_ingress' else ''}",
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
    ext_modules=[Extension(name, sources=[]) for name in EXTENSIONS],
    cmdclass={"build_ext": CMakeBuild},
)
