"""An object store over a directory."""

import errno
import io
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from contactlake.archive.storage import ObjectInfo, ObjectVanished, list_in_parallel, names_an_object
from contactlake.errors import StorageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 20
_STAGED_PREFIX, _STAGED_SUFFIX = ".contactlake-", ".tmp"

_REMEDIES = {
    errno.ENOENT: "create the directory, or mend the path in the configuration",
    errno.ENOTDIR: "give a directory, not a file",
    errno.EACCES: "give this user the right to it",
    errno.EPERM: "give this user the right to it",
    errno.EROFS: "mount the file system writable",
    errno.ENOSPC: "make room on the file system",
    errno.EDQUOT: "make room in the quota",
}
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}  # what file systems without them answer

_Identity = tuple[int, int]


@dataclass(frozen=True)
class DirectoryStore:
    """The objects are the regular files below `root`, an absolute path; a link to a file or directory is followed.

    Directories are not objects, and are made as keys need them, the root too.
    """

    root: Path

    @property
    def uri(self) -> str:
        return str(self.root)

    def uri_of(self, key: str) -> str:
        return f"{self.uri.rstrip('/')}/{key}"

    def probe(self, prefix: str) -> ObjectInfo | None:
        return next(self.list(prefix), None)  # walks no further than its first file

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _refusals(self.uri):
            if not stat.S_ISDIR((found := self.root.stat()).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        directory, entered = self.root, frozenset([_identity(found)])
        *folders, start = prefix.split("/")
        for folder in folders:
            directory = directory / folder
            status = None if folder in ("", ".", "..") else _status(directory)
            if status is None or not stat.S_ISDIR(status.st_mode) or _identity(status) in entered:
                return
            entered |= {_identity(status)}
        yield from self._walk(directory, prefix.removesuffix(start), start, entered)

    def _walk(self, directory: Path, base: str, start: str, entered: frozenset[_Identity]) -> Iterator[ObjectInfo]:
        """The objects in and below `directory`, whose key is `base`; of its own entries those that start so.

        `entered` are the directories on the way down: a link back to one of them would have no end. Two links side by
        side to one directory are two folders, so that what a key holds does not hang on the order of the walk.
        """
        entries = []
        with _refusals(str(directory)):
            try:
                with os.scandir(directory) as scan:
                    names = [entry.name for entry in scan if entry.name.startswith(start)]
            except (FileNotFoundError, NotADirectoryError):  # gone since it was seen
                return
            for name in names:
                if not _is_staged(name) and (status := _status(directory / name)):
                    # With its slash a folder sorts among the files as its keys do.
                    entries.append((base + name + "/" * stat.S_ISDIR(status.st_mode), name, status))
        for key, name, status in sorted(entries, key=lambda entry: entry[0]):
            if not names_an_object(key):
                raise StorageError(f"{self.uri_of(key)!r} is no name that S3 could hold", "rename it, in UTF-8")
            if stat.S_ISREG(status.st_mode):
                yield _info(key, status)
            elif stat.S_ISDIR(status.st_mode) and (identity := _identity(status)) not in entered:
                yield from self._walk(directory / name, key, "", entered | {identity})

    def list_many(self, prefixes: Iterable[str]) -> Iterator[ObjectInfo]:
        return list_in_parallel(self, prefixes)

    def open(self, key: str, etag: str | None = None) -> BinaryIO:
        found = self.head(key)
        if found is None or etag not in (None, found.etag):
            raise ObjectVanished(self.uri_of(key))
        with _refusals(self.uri_of(key)):
            try:
                return io.BufferedReader(_File(self._path(key)), _BUFFER_BYTES)
            except FileNotFoundError:
                raise ObjectVanished(self.uri_of(key)) from None

    def read(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def head(self, key: str) -> ObjectInfo | None:
        if not _is_path(key):
            return None
        with _refusals(self.uri_of(key)):
            status = _status(self._path(key))
        return _info(key, status) if status and stat.S_ISREG(status.st_mode) else None

    def write(self, key: str, content: bytes) -> None:
        self._put(key, io.BytesIO(content))

    def upload(self, key: str, local_path: Path) -> None:
        with local_path.open("rb") as source:
            self._put(key, source)

    def _put(self, key: str, source: BinaryIO) -> None:
        target = self._path(key)
        with _refusals(self.uri_of(key)), _staged(target.parent, source) as staged:
            staged.replace(target)

    def create(self, key: str, content: bytes) -> bool:
        target = self._path(key)
        with _refusals(self.uri_of(key)), _staged(target.parent, io.BytesIO(content)) as staged:
            try:
                target.hardlink_to(staged)  # atomic, and the content is whole before the name exists
            except FileExistsError:
                # A network file system may lose the answer, try again and meet its own link.
                return staged.stat().st_nlink > 1
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                raise StorageError(
                    f"{self.uri} lies on a file system that has no hard links",
                    "keep the lake on one that has them, or on S3",
                ) from error
        return True

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            if self.head(key) is not None:
                with _refusals(self.uri_of(key)):
                    self._path(key).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> None:
        if not prefix:
            raise ValueError("an empty prefix would delete the whole store")
        self.delete([*(found.key for found in self.list(prefix)), *self.unfinished(prefix)])
        if prefix.endswith("/"):  # what is left are empty folders, which no key tells of
            folder = self._path(prefix.rstrip("/"))
            for emptied in (*sorted(folder.rglob("*"), reverse=True), folder):
                with suppress(OSError):  # not there any more, or somebody has put something in
                    emptied.rmdir()

    def unfinished(self, prefix: str) -> Iterator[str]:
        folder = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self.root
        with _refusals(str(folder)):
            for path in folder.rglob(f"{_STAGED_PREFIX}*{_STAGED_SUFFIX}"):
                key = path.relative_to(self.root).as_posix()
                if key.startswith(prefix):
                    yield key

    def now(self) -> datetime:
        with _refusals(self.uri), _staged(self.root, io.BytesIO(b"now")) as staged:
            return _modified_at(staged.stat())

    def connection(self) -> dict[str, str]:
        return {}

    def _path(self, key: str) -> Path:
        if not _is_path(key):
            raise ValueError(f"no file can have the key {key!r}")
        return self.root / key


class _File(io.FileIO):
    """A file whose failures while it is read are `StorageError`s."""

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        with _refusals(str(self.name)):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with _refusals(str(self.name)):
            return super().readall()


@contextmanager
def _refusals(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        remedy = _REMEDIES.get(error.errno or 0, "see that the file system is mounted and sound")
        raise StorageError(f"{uri}: {error.strerror or 'failed'} ({name})", remedy) from error


@contextmanager
def _staged(directory: Path, source: BinaryIO) -> Iterator[Path]:
    """A file with the bytes of `source`, on disk, in `directory`; listings leave it out, and it is gone afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{_STAGED_PREFIX}{uuid.uuid4().hex}{_STAGED_SUFFIX}"
    try:
        with path.open("xb") as file:
            shutil.copyfileobj(source, file, _BUFFER_BYTES)
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)


def _is_staged(name: str) -> bool:
    return name.startswith(_STAGED_PREFIX) and name.endswith(_STAGED_SUFFIX)


def _is_path(key: str) -> bool:
    """Whether a file can have this key: S3 knows empty parts, a file system does not."""
    return names_an_object(key) and "" not in key.split("/")


def _status(path: Path) -> os.stat_result | None:
    """What `path`, or what it links to, is; None where nothing is."""
    try:
        return path.stat()
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    etag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    return ObjectInfo(key, status.st_size, etag, _modified_at(status))


def _modified_at(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino
