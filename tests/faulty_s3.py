"""Faults of an S3 server: a proxy before the real one, which refuses, stalls, cuts and resets what its rules name.

It is a process of its own: a client that holds this interpreter's lock while it waits must get its answer, too.
"""

import multiprocessing
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_plus, urlsplit

import boto3
from botocore.config import Config
from tests.s3_server import ACCESS_KEY, SECRET_KEY, Bucket

_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
Act = Callable[["Exchange"], None]


class FaultyS3:
    """`with FaultyS3(bucket) as faulty`: `faulty.bucket` is the same bucket, reached through the proxy.

    Requests reach the server as they were signed. `add` adds a fault, `clear` ends all of them.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")  # not a fork: this process has threads
        self._control, theirs = spawn.Pipe()
        endpoint = self._bucket.options.endpoint or ""
        self._process = spawn.Process(target=_serve, args=(endpoint, theirs), daemon=True)
        self._process.start()
        self._port = self._control.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()

    @property
    def bucket(self) -> Bucket:
        return self.through(self._bucket)

    def through(self, bucket: Bucket) -> Bucket:
        """Another bucket of the same server, reached through the proxy."""
        return replace(bucket, options=replace(bucket.options, endpoint=f"http://127.0.0.1:{self._port}"))

    def add(self, pattern: str, act: Act, times: int | None = 1, after: int = 0, every: int = 1) -> int:
        """A fault of requests of which `METHOD /bucket/key?query`, decoded, matches `pattern`; returns its number.

        The first `after` of them pass, then each `every`th meets the fault, `times` in all (None: for good).
        """
        return int(self._ask("add", pattern, act, times, after, every))

    def clear(self) -> list[int]:
        """Ends all faults; returns how often each was met."""
        return list(self._ask("clear"))

    def requests(self) -> list[str]:
        """What was asked for since this was last called, as patterns see it."""
        return list(self._ask("requests"))

    def _ask(self, *command: Any) -> Any:
        self._control.send(command)
        return self._control.recv()


@dataclass
class _Fault:
    pattern: str
    act: Act
    times: int | None
    after: int
    every: int
    seen: int = 0
    hits: int = 0

    def meets(self, request: str) -> bool:
        if not re.search(self.pattern, request):
            return False
        self.seen += 1
        is_due = self.seen > self.after and (self.seen - self.after) % self.every == 0
        if not is_due or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class _Faults:
    """What the proxy's threads go by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self._requests: list[str] = []

    def add(self, pattern: str, act: Act, times: int | None, after: int, every: int) -> int:
        with self._lock:
            self._faults.append(_Fault(pattern, act, times, after, every))
            return len(self._faults) - 1

    def clear(self) -> list[int]:
        with self._lock:
            hits = [fault.hits for fault in self._faults]
            self._faults = []
        return hits

    def requests(self) -> list[str]:
        with self._lock:
            seen, self._requests = self._requests, []
        return seen

    def act_on(self, request: str) -> Act | None:
        """What to do with the request; None: pass it on."""
        with self._lock:
            self._requests.append(request)
            return next((fault.act for fault in self._faults if fault.meets(request)), None)


def _serve(endpoint: str, control: Connection) -> None:
    """The proxy's process: it ends when its parent does, or kills it."""
    server = _Server(endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    control.send(server.server_address[1])
    while True:
        try:
            name, *arguments = control.recv()
        except EOFError:
            return
        control.send(getattr(server.faults, name)(*arguments))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.faults = _Faults()
        self.endpoint, self.upstream = endpoint, urlsplit(endpoint).netloc

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what this is for."""

    @cached_property
    def client(self) -> Any:
        """Somebody else, who has every right."""
        session = boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)
        config = Config(s3={"addressing_style": "path"})
        return session.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", config=config)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """One connection; an `Act` is given it with a request that was read whole."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _handle(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        act = self.server.faults.act_on(f"{self.command} {unquote_plus(self.path)}")
        if act is None:
            self.send(self.forward())
        else:
            act(self)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _handle  # noqa: N815 - as the base class calls them

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""

    def forward(self) -> _Answer:
        """The real server's answer."""
        connection = HTTPConnection(self.server.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(self.body or None)
            answer = connection.getresponse()
            return _Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def send(self, answer: _Answer, until: int | None = None) -> None:
        """Sends the answer, or of its body only what stands before `until`."""
        length = next((value for name, value in answer.headers if name.lower() == "content-length"), "0")
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", length if self.command == "HEAD" else str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[:until])
        self.wfile.flush()

    def hang_up(self, *, is_reset: bool = True) -> None:
        self.close_connection = True
        if is_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


# --- what may become of a request ---


@dataclass(frozen=True)
class Refuse:
    """S3's error `code`, instead of what was asked."""

    status: int
    code: str

    def __call__(self, exchange: Exchange) -> None:
        said = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{self.code}</Code><Message>no</Message></Error>'
        body = b"" if exchange.command == "HEAD" else said.encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        exchange.send(_Answer(self.status, headers, body))


@dataclass(frozen=True)
class Cut:
    """So many bytes of the body, of which all were announced; then the connection ends."""

    after: int
    is_reset: bool = False

    def __call__(self, exchange: Exchange) -> None:
        exchange.send(exchange.forward(), until=self.after)
        exchange.hang_up(is_reset=self.is_reset)


@dataclass(frozen=True)
class Drop:
    """The connection ends, and nothing was done."""

    def __call__(self, exchange: Exchange) -> None:
        exchange.hang_up()


@dataclass(frozen=True)
class LoseAnswer:
    """What was asked is done, and the connection ends."""

    def __call__(self, exchange: Exchange) -> None:
        exchange.forward()
        exchange.hang_up()


@dataclass(frozen=True)
class Stall:
    """So many bytes of the body (None: not even a status), and then silence."""

    after: int | None = None

    def __call__(self, exchange: Exchange) -> None:
        if self.after is not None:
            exchange.send(exchange.forward(), until=self.after)
        threading.Event().wait()


@dataclass(frozen=True)
class Slowly:
    """What was asked, so many seconds later."""

    seconds: float

    def __call__(self, exchange: Exchange) -> None:
        threading.Event().wait(self.seconds)
        exchange.send(exchange.forward())


@dataclass(frozen=True)
class Meanwhile:
    """What was asked, once somebody else has put `content` at `bucket/key`; None: has deleted what is there."""

    bucket: str
    key: str
    content: bytes | None

    def __call__(self, exchange: Exchange) -> None:
        if self.content is None:
            exchange.server.client.delete_object(Bucket=self.bucket, Key=self.key)
        else:
            exchange.server.client.put_object(Bucket=self.bucket, Key=self.key, Body=self.content)
        exchange.send(exchange.forward())
