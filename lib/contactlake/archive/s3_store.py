"""An object store over a bucket of S3 or of a server that speaks its protocol."""

import io
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from contactlake.archive.s3_client import client, code_of, connection, refusals, remedy, status_of
from contactlake.archive.storage import ObjectInfo, ObjectVanished, S3Options, list_in_parallel, names_an_object
from contactlake.errors import StorageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, ListObjectsV2OutputTypeDef

_BUFFER_BYTES = 1 << 20
_DELETE_BATCH = 1000  # the most that one request may name
_READ_ATTEMPTS = 5  # of one stretch of a body, each over a new connection
_CREATED_BY = "contactlake-create"

_ABSENT = {"NoSuchKey", "404"}  # a HEAD has no body and so no code but its status


@dataclass(frozen=True)
class S3Store:
    """The objects of `bucket` below the key prefix `root` (no slash at either end; may be empty)."""

    bucket: str
    root: str
    options: S3Options

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.root}".rstrip("/")

    def uri_of(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found: list[ObjectInfo] = []
        with refusals(self.uri_of(prefix)):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._full(prefix)):
                found += self._infos(page, prefix)
        # S3 sorts by key; servers over a file system sort folder by folder.
        yield from sorted(found, key=attrgetter("key"))

    def probe(self, prefix: str) -> ObjectInfo | None:
        with refusals(self.uri_of(prefix)):
            page = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._full(prefix), MaxKeys=1)
        return next(self._infos(page, prefix), None)

    def _infos(self, page: "ListObjectsV2OutputTypeDef", prefix: str) -> Iterator[ObjectInfo]:
        for entry in page.get("Contents", ()):
            key = entry["Key"].removeprefix(self._full(""))
            # A server over a file system may list what a prefix with an empty part would be without it.
            if key and key.startswith(prefix):
                modified_at = entry["LastModified"].astimezone(UTC)
                yield ObjectInfo(key, entry["Size"], entry["ETag"].strip('"'), modified_at)

    def list_many(self, prefixes: Iterable[str]) -> Iterator[ObjectInfo]:
        return list_in_parallel(self, prefixes)

    def open(self, key: str, etag: str | None = None) -> BinaryIO:
        return io.BufferedReader(_Body(self, key, etag), _BUFFER_BYTES)

    def read(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def head(self, key: str) -> ObjectInfo | None:
        if not self._is_possible(key):
            return None
        with refusals(self.uri_of(key)):
            try:
                found = self._client.head_object(Bucket=self.bucket, Key=self._full(key))
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return None
                raise
        return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"].astimezone(UTC))

    def write(self, key: str, content: bytes) -> None:
        full = self._writable(key)
        with refusals(self.uri_of(key)):
            self._client.put_object(Bucket=self.bucket, Key=full, Body=content)

    def upload(self, key: str, local_path: Path) -> None:
        full = self._writable(key)
        with local_path.open("rb") as source, refusals(self.uri_of(key)):
            self._client.upload_fileobj(source, self.bucket, full)

    def create(self, key: str, content: bytes) -> bool:
        full, mark = self._writable(key), uuid.uuid4().hex
        with refusals(self.uri_of(key)):
            try:
                self._client.put_object(
                    Bucket=self.bucket, Key=full, Body=content, IfNoneMatch="*", Metadata={_CREATED_BY: mark}
                )
            except ClientError as error:
                if status_of(error) not in (409, 412):
                    raise
                # Where an answer was lost, the client's second try meets its own first: the mark tells.
                return self._mark(full) == mark
        return True

    def _mark(self, full: str) -> str | None:
        try:
            return self._client.head_object(Bucket=self.bucket, Key=full)["Metadata"].get(_CREATED_BY)
        except ClientError as error:
            if code_of(error) in _ABSENT:
                return None
            raise

    def delete(self, keys: Iterable[str]) -> None:
        full = (self._full(key) for key in keys if self._is_possible(key))
        while batch := tuple(islice(full, _DELETE_BATCH)):
            with refusals(self.uri):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            for error in answer.get("Errors", ()):
                if (code := error.get("Code", "unknown")) not in _ABSENT:
                    uri = f"s3://{self.bucket}/{error.get('Key', '')}"
                    raise StorageError(f"{uri} was not deleted: {code}", remedy(code, 403))

    def delete_prefix(self, prefix: str) -> None:
        if not prefix:
            raise ValueError("an empty prefix would delete the whole store")
        self.delete(found.key for found in self.list(prefix))

    def unfinished(self, prefix: str) -> Iterator[str]:
        return iter(())  # an object is there whole or not at all

    def now(self) -> datetime:
        with refusals(self.uri):
            answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._full(""), MaxKeys=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if date is None:
            raise StorageError(f"{self.uri} is served without a Date", "use a server whose answers carry that header")
        return parsedate_to_datetime(date).astimezone(UTC)

    def connection(self) -> dict[str, str]:
        with refusals(self.uri):
            return connection(self.options, self.bucket)

    def get(self, key: str, offset: int, etag: str | None) -> "GetObjectOutputTypeDef":
        """The object from byte `offset` on, of the version `etag` alone if given. Raises `ObjectVanished`."""
        if not self._is_possible(key):
            raise ObjectVanished(self.uri_of(key))
        full = self._full(key)
        with refusals(self.uri_of(key)):
            try:
                if etag is None:
                    return self._client.get_object(Bucket=self.bucket, Key=full)
                if not offset:
                    return self._client.get_object(Bucket=self.bucket, Key=full, IfMatch=etag)
                return self._client.get_object(Bucket=self.bucket, Key=full, Range=f"bytes={offset}-", IfMatch=etag)
            except ClientError as error:
                if code_of(error) in _ABSENT or status_of(error) == 412:
                    raise ObjectVanished(self.uri_of(key)) from error
                raise

    @property
    def _client(self) -> "S3Client":
        return client(self.options)

    def _full(self, key: str) -> str:
        return f"{self.root}/{key}" if self.root else key

    def _writable(self, key: str) -> str:
        if not self._is_possible(key):
            raise ValueError(f"no object can have the key {key!r}")
        return self._full(key)

    def _is_possible(self, key: str) -> bool:
        return key != "" and names_an_object(self._full(key))


class _Body(io.RawIOBase):
    """The bytes of one object; a connection that breaks is made anew where it broke, on the same version."""

    def __init__(self, store: S3Store, key: str, etag: str | None) -> None:
        self._store, self._key = store, key
        self._body: StreamingBody | None = None
        answer = store.get(key, 0, etag and f'"{etag}"')
        self._etag, self._size, self._offset = answer["ETag"], answer["ContentLength"], 0
        self._body = answer["Body"]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._offset)
        if not wanted:
            return 0
        chunk = self._read(wanted)
        view[: len(chunk)] = chunk
        self._offset += len(chunk)
        return len(chunk)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(_BUFFER_BYTES), b""))

    def close(self) -> None:
        self._drop()
        super().close()

    def _read(self, wanted: int) -> bytes:
        """At least one and at most `wanted` of the bytes that follow: there are that many."""
        failure = ""
        for attempt in range(_READ_ATTEMPTS):
            try:
                body = self._body or self._reopened(attempt)
                if chunk := body.read(wanted):
                    return chunk
                failure = "it ended early"
            except (BotoCoreError, HTTPError, OSError) as error:
                failure = type(error).__name__
            self._drop()
        raise StorageError(
            f"{self._store.uri_of(self._key)} broke off at byte {self._offset} of {self._size}: {failure}",
            "see that the network and the server are sound, and run again",
        )

    def _reopened(self, attempt: int) -> "StreamingBody":
        time.sleep(0.1 * 2**attempt)
        answer = self._store.get(self._key, self._offset, self._etag)
        self._body = answer["Body"]
        if answer["ContentLength"] != self._size - self._offset:
            raise OSError("the server did not keep to the range")
        return self._body

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
