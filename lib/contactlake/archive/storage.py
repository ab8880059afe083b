"""Where bytes lie: one small object store, the same over a directory and over S3.

Keys are relative to the store's root and separated by `/`, whatever the system. A store is a frozen value: it pickles
into executors and may be shared between threads; connections are made on first use, once a process.

Everything that cannot be reached or is refused is a `StorageError` that names the place and the refusal, never a
credential.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from contactlake.errors import ConfigurationError, StorageError

_LISTING_THREADS = 16
_MAX_KEY_BYTES = 1024  # S3's own bound


@dataclass(frozen=True)
class S3Options:
    """How to find an S3-compatible server; credentials come from the standard AWS chain alone."""

    endpoint: str | None = None
    path_style: bool = False
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as a listing shows it.

    `key` is relative to the store's root, `size` is in bytes, `etag` changes with the content, `modified_at` is UTC by
    the store's clock.
    """

    key: str
    size: int
    etag: str
    modified_at: datetime


class ObjectVanished(StorageError):
    """The object is not there (any more), or was replaced since it was listed or while it was read."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} is not there any more", "run again: the next listing shows what there is")
        self.uri = uri

    def __reduce__(self) -> tuple[type["ObjectVanished"], tuple[str]]:  # type: ignore[override]
        return type(self), (self.uri,)


class ObjectStore(Protocol):
    """A place that holds objects by key.

    Every method raises `StorageError` where the place cannot be reached or refuses. A key that no object can have
    (empty, over 1024 bytes of UTF-8, with a part `.` or `..`) names nothing when read and is a `ValueError` when
    written: keys that come from records may be anything, and must not leave the root.
    """

    @property
    def uri(self) -> str:
        """The absolute directory, or `s3://bucket/prefix` without a slash at its end."""

    def uri_of(self, key: str) -> str:
        """The full address of `key`, as Spark and an error message want it."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, verbatim, sorted by key.

        The prefix need not end in a slash or name a folder. Nothing there yields nothing; a missing bucket or root
        directory is a `StorageError`.
        """

    def probe(self, prefix: str) -> ObjectInfo | None:
        """One small request: some object whose key starts with `prefix`, None where there is none."""

    def list_many(self, prefixes: Iterable[str]) -> Iterator[ObjectInfo]:
        """`list` of each prefix in the order given, several at a time.

        An object under two of the prefixes comes twice.
        """

    def open(self, key: str, etag: str | None = None) -> BinaryIO:
        """A stream of the object's bytes, of the version `etag` alone if given, to be closed.

        Raises `ObjectVanished`, here or while it is read.

        It ends where the object ends: a broken connection is a `StorageError`, never an early end.
        """

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises `ObjectVanished`."""

    def head(self, key: str) -> ObjectInfo | None:
        """The object as a listing would show it, None where there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Put `content` there whole, over what may be there; a reader sees the old or the new, never a part."""

    def create(self, key: str, content: bytes) -> bool:
        """Put `content` there whole unless an object is there already: of several callers one gets True."""

    def upload(self, key: str, local_path: Path) -> None:
        """`write` of a local file of any size."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove the objects; one that is not there is fine."""

    def delete_prefix(self, prefix: str) -> None:
        """Remove every object that `list(prefix)` shows. An empty prefix is a `ValueError`."""

    def unfinished(self, prefix: str) -> Iterator[str]:
        """Keys, to be deleted, of what writes that were cut short have left below `prefix`; listings leave it out."""

    def now(self) -> datetime:
        """UTC by the clock that stamps `modified_at`, not the host's: to be called only where one may write."""

    def connection(self) -> dict[str, str]:
        """How delta-rs reaches the store, by its own option names; nothing for a directory.

        Holds credentials, which may expire: for use at once, never for a log.
        """


def open_store(root: str, options: S3Options) -> ObjectStore:
    """The store at `root`: a directory, relative to the current one, or `s3://bucket[/prefix]`.

    Nothing is touched yet. Raises `ConfigurationError` for anything else.
    """
    # Each kind is imported when it is asked for: executors over a directory need not pay for boto3.
    scheme, separator, rest = root.partition("://")
    if not separator:
        from contactlake.archive.directory_store import DirectoryStore

        if root:
            return DirectoryStore(Path(root).absolute())
    elif scheme == "s3":
        from contactlake.archive.s3_store import S3Store

        bucket, _, prefix = rest.partition("/")
        if bucket:
            return S3Store(bucket, prefix.strip("/"), options)
    raise ConfigurationError(f"{root!r} is no place for objects", "give a directory or s3://bucket/prefix")


def names_an_object(key: str) -> bool:
    """Whether a store can hold an object of this key."""
    try:
        length = len(key.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return 0 < length <= _MAX_KEY_BYTES and "\0" not in key and {".", ".."}.isdisjoint(key.split("/"))


def list_in_parallel(store: ObjectStore, prefixes: Iterable[str]) -> Iterator[ObjectInfo]:
    """`ObjectStore.list_many` by threads: a window of listings runs ahead of the reader, in the prefixes' order."""

    def listed(prefix: str) -> tuple[ObjectInfo, ...]:
        return tuple(store.list(prefix))

    with ThreadPoolExecutor(_LISTING_THREADS, thread_name_prefix="list") as pool:
        ahead: deque[Future[tuple[ObjectInfo, ...]]] = deque()
        try:
            for prefix in prefixes:
                ahead.append(pool.submit(listed, prefix))
                if len(ahead) > 2 * _LISTING_THREADS:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:  # after an error, or a reader that stops early
            for listing in ahead:
                listing.cancel()
