"""From an object's bytes to its text: decompressed whole before any of it is used, within bounded memory."""

import io
import mmap
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO
from zlib import error as ZlibError  # noqa: N812 - the class is named like a function

import cramjam
import zstandard
from isal import igzip, isal_zlib

_CHUNK = 1 << 20
_GZIP_CHUNK = 4 << 20
"""So that most objects are one: what Firehose gathers for them is seldom more than a few megabytes."""
_ZSTD_FEED = 1 << 10
"""Compressed bytes given to zstd at once: four of them can stand for 128 KiB of text."""
_SNAPPY_RATIO = 24
"""Snappy never makes more of a byte than this."""
_IN_MEMORY = 64 << 20
"""Text up to this size is held in memory, longer text in a temporary file that is mapped."""

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ZSTD = b"\x28\xb5\x2f\xfd"
_SNAPPY_FRAMED = b"\xff\x06\x00\x00sNaPpY"
_HADOOP_SNAPPY_NAMES = (".snappy", ".hsnappy")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Text = bytes | mmap.mmap
"""An object's text: bytes, or a mapped file that slices and searches like them."""


class UnreadableObject(Exception):
    """The object cannot be decompressed, or is larger than allowed: `detail` says which, without any of its text."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class _Spool:
    """Collects text up to `limit` bytes: in memory at first, then in a temporary file."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._size = 0
        self._only: bytes | None = None
        """What was written, as long as that is one chunk, as of most objects: it is their text as it is."""
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close()

    def write(self, chunk: bytes) -> None:
        is_first = not self._size
        self._size += len(chunk)
        if self._limit is not None and self._size > self._limit:
            raise UnreadableObject(f"larger than max_decompressed_bytes ({self._limit})")
        if is_first and self._size <= _IN_MEMORY:
            self._only = chunk
            return
        self._spill()
        self._file.write(chunk)

    def file(self) -> IO[bytes]:
        self._spill()
        self._file.seek(0)
        return self._file

    def text(self) -> Text:
        if self._only is not None:
            return self._only
        if self._size <= _IN_MEMORY:
            return self.file().read()
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        self._file.close()

    def _spill(self) -> None:
        if self._only is not None:
            self._file.write(self._only)
            self._only = None


class _Source(io.RawIOBase):
    """A stream whose reads are short only at its end, and which remembers its own `fault`."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self.fault: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        filled = 0
        try:
            while filled < len(buffer) and (part := self._stream.read(len(buffer) - filled)):
                buffer[filled : filled + len(part)] = part
                filled += len(part)
        except Exception as fault:
            self.fault = fault
            raise
        return filled


def _exactly(source: io.BufferedReader, length: int) -> bytes:
    """The next `length` bytes. Memory is taken as they come: a length that is made up costs nothing."""
    parts = []
    while length > 0:
        part = source.read(min(length, _CHUNK))
        if not part:
            raise EOFError("cut short")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _plain(source: io.BufferedReader) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _gzip(source: io.BufferedReader) -> Iterator[bytes]:
    with igzip.IGzipFile(fileobj=source, mode="rb") as member:  # type: ignore[no-untyped-call]
        while chunk := member.read(_GZIP_CHUNK):
            yield chunk


def _zip(source: io.BufferedReader) -> Iterator[bytes]:
    spool = _Spool(limit=None)  # a zip's directory is at its end: the object must be at hand whole
    try:
        for chunk in _plain(source):
            spool.write(chunk)
        yield from _unzipped(spool.file())
    finally:
        spool.close()


def _unzipped(file: IO[bytes]) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                length = 0
                with archive.open(member) as content:
                    while chunk := content.read(_CHUNK):
                        length += len(chunk)
                        yield chunk
                if length != member.file_size:
                    raise EOFError("a member is cut short")  # noqa: TRY301 - zipfile itself lets it pass
    except Exception as fault:
        # Corrupt, encrypted, of an unknown compression: zipfile and its decompressors raise all kinds of errors.
        raise zipfile.BadZipFile(type(fault).__name__) from fault


def _zstd(source: io.BufferedReader) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    is_begun = False
    while chunk := source.read(_ZSTD_FEED):
        while chunk:
            is_begun = True
            yield frame.decompress(chunk)
            if not frame.eof:
                break
            chunk = frame.unused_data
            frame = decompressor.decompressobj()
            is_begun = False
    if is_begun:
        raise EOFError("the last frame is cut short")


def _framed_snappy(source: io.BufferedReader) -> Iterator[bytes]:
    while header := source.read(4):
        if len(header) < 4:
            raise EOFError("a chunk's header is cut short")
        body = _exactly(source, int.from_bytes(header[1:], "little"))
        if header[0] in (0x00, 0x01):
            yield bytes(cramjam.snappy.decompress(_SNAPPY_FRAMED + header + body))
        elif 0x02 <= header[0] <= 0x7F:
            raise ValueError("a chunk of an unknown kind")


def _hadoop_snappy(source: io.BufferedReader) -> Iterator[bytes]:
    while header := source.read(4):
        (remaining,) = struct.unpack(">I", header)
        while remaining > 0:
            (length,) = struct.unpack(">I", source.read(4))
            body = _exactly(source, length)
            if cramjam.snappy.decompress_raw_len(body) > min(remaining, _SNAPPY_RATIO * length):
                raise ValueError("a block is not as long as it says")
            chunk = bytes(cramjam.snappy.decompress_raw(body))
            if not chunk:
                raise ValueError("an empty block")
            remaining -= len(chunk)
            yield chunk


_CORRUPT: tuple[type[Exception], ...] = (
    EOFError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zstandard.ZstdError,
    igzip.BadGzipFile,
    isal_zlib.error,  # type: ignore[assignment]
    ZlibError,
    cramjam.DecompressionError,
)


def _format(head: bytes, name: str) -> tuple[str, Callable[[io.BufferedReader], Iterator[bytes]]]:
    if head.startswith(_GZIP):
        return "gzip", _gzip
    if head.startswith(_ZIP):
        return "zip", _zip
    if head.startswith(_ZSTD):
        return "zstd", _zstd
    if head.startswith(_SNAPPY_FRAMED):
        return "framed Snappy", _framed_snappy
    if name.endswith(_HADOOP_SNAPPY_NAMES):
        return "Hadoop Snappy", _hadoop_snappy
    return "plain", _plain


@contextmanager
def open_text(stream: BinaryIO, name: str, limit: int) -> Iterator[Text]:
    """The whole text of the object `name`.

    The compression is told by the first bytes (Hadoop Snappy by the name). Nothing is given before all of it was
    decompressed and checked, so that a corrupt object yields no record. `limit`: bytes of decompressed text.
    Raises `UnreadableObject` where the object is corrupt or larger; errors of `stream` itself pass through.
    """
    raw = _Source(stream)
    source: io.BufferedReader = io.BufferedReader(raw, _CHUNK)
    head = source.peek(len(_SNAPPY_FRAMED))
    label, decompress = _format(head, name)
    spool = _Spool(limit)
    try:
        try:
            for chunk in decompress(source):
                spool.write(chunk)
        except _CORRUPT as fault:
            if raw.fault is not None:
                raise raw.fault from None
            raise UnreadableObject(f"corrupt {label}: {type(fault).__name__}") from fault
        text = spool.text()
        try:
            yield text
        finally:
            if isinstance(text, mmap.mmap):
                text.close()
    finally:
        spool.close()


def text_start(text: Text) -> int:
    """Where the text begins: behind its byte-order mark, if it has one."""
    return len(_BYTE_ORDER_MARK) if text[: len(_BYTE_ORDER_MARK)] == _BYTE_ORDER_MARK else 0
