"""From an object's bytes to its text: every compression, told by its first bytes, and every way it can be corrupt."""

import bz2
import gzip
import io
import random
import struct
import zipfile
from collections.abc import Callable

import cramjam
import pytest
import zstandard

from contactlake.archive import compression
from contactlake.archive.compression import UnreadableObject, open_text, text_start
from contactlake.archive.records import Splitter, record_start
from contactlake.errors import StorageError

TEXT = b"".join(
    b'{"ActivityType":"WORK_CODES","Number":%d,"Text":"\xc3\xa4%d"}\n' % (n, n * 7919) for n in range(5_000)
)
UNLIMITED = 1 << 40


def read(content: bytes, name: str = "object", limit: int = UNLIMITED) -> bytes:
    with open_text(io.BytesIO(content), name, limit) as text:
        return text[:]


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def framed(text: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(text))


def chunk(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "little") + body


def hadoop(text: bytes, block: int = 100_000, blocks_a_frame: int = 2) -> bytes:
    packed = b""
    for frame in range(0, len(text), block * blocks_a_frame):
        part = text[frame : frame + block * blocks_a_frame]
        packed += struct.pack(">I", len(part))
        for start in range(0, len(part), block):
            body = bytes(cramjam.snappy.compress_raw(part[start : start + block]))
            packed += struct.pack(">I", len(body)) + body
    return packed


def zstd(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zip": lambda text: zipped(("text", text)),
    "stored zip": lambda text: zipped(("text", text), method=zipfile.ZIP_STORED),
    "bzip2 in a zip": lambda text: zipped(("text", text), method=zipfile.ZIP_BZIP2),
    "lzma in a zip": lambda text: zipped(("text", text), method=zipfile.ZIP_LZMA),
    "zstd": zstd,
    "framed Snappy": framed,
    "Hadoop Snappy": hadoop,
}


def named(compression_name: str) -> str:
    return "object.snappy" if compression_name == "Hadoop Snappy" else "object"


@pytest.fixture(params=COMPRESSIONS)
def packing(request: pytest.FixtureRequest) -> tuple[Callable[[bytes], bytes], str]:
    return COMPRESSIONS[request.param], named(request.param)


class TestEveryCompression:
    def test_gives_the_text_back(self, packing: tuple[Callable[[bytes], bytes], str]) -> None:
        pack, name = packing
        assert read(pack(TEXT), name) == TEXT

    def test_gives_an_empty_text_back(self, packing: tuple[Callable[[bytes], bytes], str]) -> None:
        pack, name = packing
        assert read(pack(b""), name) == b""

    def test_keeps_a_byte_order_mark_apart(self, packing: tuple[Callable[[bytes], bytes], str]) -> None:
        pack, name = packing
        text = read(pack(b"\xef\xbb\xbf" + TEXT), name)
        assert text[text_start(text) :] == TEXT

    def test_cut_anywhere_it_is_unreadable(self, packing: tuple[Callable[[bytes], bytes], str]) -> None:
        pack, name = packing
        content = pack(TEXT)
        for length in (12, len(content) // 3, len(content) // 2, len(content) - 9, len(content) - 1):
            with pytest.raises(UnreadableObject, match="corrupt"):
                read(content[:length], name)

    def test_whatever_is_wrong_with_it_there_is_no_other_error(
        self, packing: tuple[Callable[[bytes], bytes], str]
    ) -> None:
        pack, name = packing
        content = pack(TEXT)
        dice = random.Random(5)
        unreadable = 0
        for _ in range(150):
            spoiled = bytearray(content)
            for _ in range(dice.choice((1, 1, 4))):
                spoiled[dice.choice((dice.randrange(len(content)), len(content) - 1 - dice.randrange(90)))] ^= 1 << (
                    dice.randrange(8)
                )
            try:
                read(bytes(spoiled), name)
            except UnreadableObject as fault:
                assert "corrupt" in fault.detail
                unreadable += 1
        assert unreadable > 40

    @pytest.mark.parametrize("spare", [0, 1])
    def test_may_be_as_large_as_allowed(self, packing: tuple[Callable[[bytes], bytes], str], spare: int) -> None:
        pack, name = packing
        assert read(pack(TEXT), name, limit=len(TEXT) + spare) == TEXT

    def test_may_not_be_larger(self, packing: tuple[Callable[[bytes], bytes], str]) -> None:
        pack, name = packing
        with pytest.raises(UnreadableObject, match="larger than max_decompressed_bytes"):
            read(pack(TEXT), name, limit=len(TEXT) - 1)

    def test_beyond_what_memory_holds_it_gives_the_same_records(
        self, packing: tuple[Callable[[bytes], bytes], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pack, name = packing
        start = record_start("ActivityType")
        in_memory = list(Splitter(TEXT, start).all())
        monkeypatch.setattr(compression, "_IN_MEMORY", 1_000)
        with open_text(io.BytesIO(pack(TEXT)), name, UNLIMITED) as text:
            assert not isinstance(text, bytes)
            assert list(Splitter(text, start).all()) == in_memory
        assert len(in_memory) == 5_000

    def test_an_error_of_the_stream_is_passed_on(self, packing: tuple[Callable[[bytes], bytes], str]) -> None:
        pack, name = packing

        class Broken(io.BytesIO):
            fault: Exception

            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() > 20:
                    raise self.fault
                return super().read(min(size or 21, 21))

        for fault in (StorageError("gone", "look"), OSError("reset"), ValueError("closed"), EOFError("early")):
            stream = Broken(pack(TEXT))
            stream.fault = fault
            with pytest.raises(type(fault)) as raised, open_text(stream, name, UNLIMITED):
                pass
            assert raised.value is fault


class TestPlain:
    def test_is_what_nothing_else_is(self) -> None:
        assert read(TEXT) == TEXT
        assert read(b"") == b""
        assert read(b"\x1f") == b"\x1f"

    def test_may_not_be_larger_than_allowed(self) -> None:
        assert read(TEXT, limit=len(TEXT)) == TEXT
        with pytest.raises(UnreadableObject, match="larger"):
            read(TEXT, limit=len(TEXT) - 1)

    def test_has_a_byte_order_mark_only_at_its_start(self) -> None:
        assert text_start(b"\xef\xbb\xbf{}") == 3
        assert text_start(b"{}\xef\xbb\xbf") == 0
        assert text_start(b"\xef\xbb") == 0


class TestTheNameTellsNothing:
    @pytest.mark.parametrize("name", ["a", "a.gz", "a.zip", "a.zst", "a.snappy", "a.json", "a.bz2"])
    @pytest.mark.parametrize("pack", [gzip.compress, zstd, framed, lambda text: zipped(("text", text))])
    def test_where_the_first_bytes_do(self, name: str, pack: Callable[[bytes], bytes]) -> None:
        assert read(pack(TEXT), name) == TEXT

    @pytest.mark.parametrize("name", ["a.gz", "a.zip", "a.zst", "a.json", "a.snappy.json"])
    def test_of_plain_text(self, name: str) -> None:
        assert read(TEXT, name) == TEXT

    @pytest.mark.parametrize("name", ["a.snappy", "a.hsnappy"])
    def test_but_of_hadoop_snappy(self, name: str) -> None:
        assert read(hadoop(TEXT), name) == TEXT
        with pytest.raises(UnreadableObject, match="corrupt Hadoop Snappy"):
            read(TEXT, name)

    def test_and_no_other_compression_is_undone(self) -> None:
        assert read(bz2.compress(TEXT), "a.bz2") == bz2.compress(TEXT)


class TestGzip:
    def test_of_several_members_is_one_text(self) -> None:
        assert read(gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(b"end")) == TEXT + b"end"

    @pytest.mark.parametrize("zeros", [1, 512, 3_000_000])
    def test_may_be_padded_with_zeros(self, zeros: int) -> None:
        assert read(gzip.compress(TEXT) + bytes(zeros)) == TEXT

    @pytest.mark.parametrize("offset", [-8, -5, -4, -1])
    def test_whose_checksum_or_length_is_wrong_is_unreadable(self, offset: int) -> None:
        content = bytearray(gzip.compress(TEXT))
        content[offset] ^= 1
        with pytest.raises(UnreadableObject, match="corrupt gzip"):
            read(bytes(content))
        with pytest.raises(UnreadableObject, match="corrupt gzip"):
            read(bytes(content) + gzip.compress(TEXT))

    def test_whose_last_member_is_cut_is_unreadable(self) -> None:
        with pytest.raises(UnreadableObject, match="corrupt gzip"):
            read(gzip.compress(TEXT) + gzip.compress(TEXT)[:-1])

    def test_followed_by_something_else_is_unreadable(self) -> None:
        with pytest.raises(UnreadableObject, match="corrupt gzip"):
            read(gzip.compress(TEXT) + b"something else")

    def test_of_its_first_bytes_alone_is_unreadable(self) -> None:
        with pytest.raises(UnreadableObject, match="corrupt gzip"):
            read(b"\x1f\x8b")


class TestZip:
    def test_members_are_one_text_in_the_order_of_the_directory(self) -> None:
        assert read(zipped(("z", b"1"), ("a/b", b"2"), ("a/", b""), ("a/a", b"3"))) == b"123"

    def test_members_named_alike_are_all_read(self) -> None:
        with pytest.warns(UserWarning, match="Duplicate name"):
            content = zipped(("a", b"1"), ("a", b"2"))
        assert read(content) == b"12"

    def test_without_members_is_an_empty_text(self) -> None:
        assert read(zipped()) == b""

    def test_names_lead_nowhere(self) -> None:
        content = zipped(("../../etc/cron.d/x", b"1"), ("/absolute", b"2"), ("C:\\x\\..\\y", b"3"), ("nul\nline", b"4"))
        assert read(content) == b"1234"

    def test_encrypted_is_unreadable(self) -> None:
        content = bytearray(zipped(("a", TEXT)))
        content[6] |= 1
        content[content.rindex(b"PK\x01\x02") + 8] |= 1
        with pytest.raises(UnreadableObject, match="corrupt zip"):
            read(bytes(content))

    @pytest.mark.parametrize("method", [9, 97, 99])
    def test_of_an_unknown_compression_is_unreadable(self, method: int) -> None:
        content = bytearray(zipped(("a", TEXT)))
        content[8] = method
        content[content.rindex(b"PK\x01\x02") + 10] = method
        with pytest.raises(UnreadableObject, match="corrupt zip"):
            read(bytes(content))

    def test_with_a_corrupt_member_is_unreadable_whole(self) -> None:
        content = bytearray(zipped(("a", b"first"), ("b", TEXT)))
        content[len(content) // 2] ^= 1
        with pytest.raises(UnreadableObject, match="corrupt zip"):
            read(bytes(content))


class TestZstd:
    def test_of_several_frames_is_one_text(self) -> None:
        assert read(zstd(TEXT) + zstd(b"") + zstd(b"end")) == TEXT + b"end"

    def test_whose_last_frame_is_cut_is_unreadable(self) -> None:
        for length in (1, 4, 6, 20):
            with pytest.raises(UnreadableObject, match="corrupt zstd"):
                read(zstd(TEXT) + zstd(TEXT)[:length])

    def test_followed_by_something_else_is_unreadable(self) -> None:
        with pytest.raises(UnreadableObject, match="corrupt zstd"):
            read(zstd(TEXT) + b"something else")


class TestFramedSnappy:
    HEADER = b"\xff\x06\x00\x00sNaPpY"

    def test_uncompressed_chunks_are_taken_as_they_are(self) -> None:
        content = framed(bytes(range(256)))
        assert content[10] == 0x01  # not worth compressing
        assert read(content) == bytes(range(256))

    def test_padding_and_skippable_chunks_are_passed_over(self) -> None:
        body = framed(TEXT)[len(self.HEADER) :]
        content = self.HEADER + chunk(0xFE, bytes(1_000)) + body + chunk(0x80, b"skip") + self.HEADER + body
        assert read(content) == TEXT * 2

    @pytest.mark.parametrize("kind", [0x02, 0x7F])
    def test_a_chunk_that_must_not_be_skipped_is_unreadable(self, kind: int) -> None:
        with pytest.raises(UnreadableObject, match="corrupt framed Snappy"):
            read(framed(TEXT) + chunk(kind, b"what is it?"))

    def test_a_chunk_whose_checksum_is_wrong_is_unreadable(self) -> None:
        content = bytearray(framed(TEXT))
        content[len(self.HEADER) + 4] ^= 1
        with pytest.raises(UnreadableObject, match="corrupt framed Snappy"):
            read(bytes(content))


class TestHadoopSnappy:
    def test_a_block_that_claims_to_be_huge_costs_nothing(self) -> None:
        claims = struct.pack(">II", 0xFFFFFFFF, 20) + b"\xff\xff\xff\xff\x0f" + b"a" * 15
        with pytest.raises(UnreadableObject, match="corrupt Hadoop Snappy"):
            read(claims, "a.snappy")

    def test_a_block_longer_than_its_frame_is_unreadable(self) -> None:
        content = bytearray(hadoop(TEXT))
        content[:4] = struct.pack(">I", 10)
        with pytest.raises(UnreadableObject, match="corrupt Hadoop Snappy"):
            read(bytes(content), "a.snappy")

    def test_empty_frames_are_nothing(self) -> None:
        assert read(bytes(8) + hadoop(b"text") + bytes(4), "a.snappy") == b"text"


BOMB_BYTES = 1 << 28


def gzip_bomb() -> bytes:
    return gzip.compress(bytes(BOMB_BYTES >> 3)) * 8


def zstd_bomb() -> bytes:
    return zstandard.ZstdCompressor().compress(bytes(BOMB_BYTES))


def zip_bomb() -> bytes:
    return zipped(("zeros", bytes(BOMB_BYTES)))


class TestBombs:
    """A small object that stands for very much text is given up long before that is in memory."""

    @pytest.mark.parametrize("pack", [gzip_bomb, zstd_bomb, zip_bomb])
    def test_is_unreadable(self, pack: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        bomb = pack()
        assert len(bomb) < BOMB_BYTES >> 8
        written: list[int] = []
        write = compression._Spool.write

        def record(spool: compression._Spool, part: bytes) -> None:
            written.append(len(part))
            write(spool, part)

        monkeypatch.setattr(compression._Spool, "write", record)
        with pytest.raises(UnreadableObject, match="larger"):
            read(bomb, limit=20 << 20)
        assert sum(written) - written[-1] <= len(bomb) + (20 << 20)
        assert max(written) <= 33 << 20
