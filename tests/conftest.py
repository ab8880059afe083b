"""What more than one test module stands on."""

import uuid
from collections.abc import Iterator

import pytest
from tests.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, SeaweedFS


@pytest.fixture(scope="session")
def s3_server() -> Iterator[SeaweedFS]:
    with SeaweedFS() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A fresh bucket; the environment holds the keys to it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    return s3_server.create_bucket(f"test-{uuid.uuid4().hex}")
