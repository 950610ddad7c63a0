"""What all tests share: the folder of real data, and a process that is always ended."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import cluster, new_database, programs

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder of real data beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if programs() is None:
        pytest.skip("needs PostgreSQL's server programs (apt-get install postgresql)")
    # Not below pytest's own folder, which another run of pytest may clear.
    with tempfile.TemporaryDirectory(prefix="aigc-postgres-") as folder, cluster(Path(folder)) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> str:
    """An empty database of this test's own."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    return new_database(postgres_server, f"t{digest}")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small networks compute faster on one thread than on several, and always the same."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
