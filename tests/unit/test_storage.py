"""One behaviour over every store: a directory, and a bucket of a real server."""

import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from tests.s3_server import Bucket

from contactlake.archive import s3_client, s3_store
from contactlake.archive.directory_store import DirectoryStore
from contactlake.archive.storage import ObjectStore, ObjectVanished, S3Options, open_store
from contactlake.errors import ConfigurationError, StorageError

ODD_KEYS = (
    "a b/c  d.json",
    "a-b/before the slash sorts the hyphen",
    "a.b",
    "a/b",
    "a/b c",
    "a0/b",
    "date=2025-03-01/part=%20.gz",
    "plus+and&amp;/x+y",
    'quotes\'"`/o\'clock "now"',
    "semi;colon,comma/#hash?query",
    "Ünïcödé/日本語.json",
    "{braces}/[brackets]/$dollar!",
)


@pytest.fixture(params=["directory", "s3", "s3 below a prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        root = tmp_path / "archive"
        root.mkdir()
        return open_store(str(root), S3Options())
    bucket: Bucket = request.getfixturevalue("s3_bucket")
    return open_store(bucket.uri if request.param == "s3" else f"{bucket.uri}/some/where/", bucket.options)


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


class TestListing:
    def test_shows_every_object_with_its_size_and_time(self, store: ObjectStore) -> None:
        before = store.now()
        store.write("a/one", b"12345")
        store.write("a/two", b"")

        one, two = store.list("a/")

        assert (one.key, one.size, two.key, two.size) == ("a/one", 5, "a/two", 0)
        assert one.modified_at.tzinfo is UTC
        # S3's clock has whole seconds.
        assert before - timedelta(seconds=1) <= one.modified_at <= store.now() + timedelta(seconds=1)
        assert store.head("a/one") == one

    def test_takes_odd_names_verbatim_and_sorts_by_key(self, store: ObjectStore) -> None:
        for key in reversed(ODD_KEYS):
            store.write(key, key.encode())

        assert keys(store) == sorted(ODD_KEYS)
        for key in ODD_KEYS:
            assert keys(store, key) == [other for other in sorted(ODD_KEYS) if other.startswith(key)]
            assert store.read(key) == key.encode()

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            (
                "interactions",
                ["interactions-old/w", "interactions/24/x", "interactions/25/01/y", "interactions/25/02/z"],
            ),
            ("interactions/2", ["interactions/24/x", "interactions/25/01/y", "interactions/25/02/z"]),
            ("interactions/25", ["interactions/25/01/y", "interactions/25/02/z"]),
            ("interactions/25/", ["interactions/25/01/y", "interactions/25/02/z"]),
            ("interactions/25/0", ["interactions/25/01/y", "interactions/25/02/z"]),
            ("interactions/25/01/y", ["interactions/25/01/y"]),
            ("interactions/25/01/y/", []),
            ("interactions//", []),
            ("/interactions", []),
            ("interactions/../interactions-old/", []),
            ("nothing/here/", []),
            ("Interactions/", []),
        ],
    )
    def test_takes_the_prefix_verbatim(self, store: ObjectStore, prefix: str, expected: list[str]) -> None:
        for key in ("interactions/24/x", "interactions/25/01/y", "interactions/25/02/z", "interactions-old/w"):
            store.write(key, b"-")

        assert keys(store, prefix) == expected

    def test_of_nothing_yields_nothing(self, store: ObjectStore) -> None:
        assert keys(store) == []
        assert keys(store, "2025/03/") == []

    def test_of_many_prefixes_keeps_their_order(self, store: ObjectStore) -> None:
        hours = [f"p/{hour:02}/" for hour in range(24)]
        for hour in hours[::2]:
            for name in "ab":
                store.write(hour + name, b"-")
        wanted = [*reversed(hours), *(f"none/{n}" for n in range(40))]

        found = [each.key for each in store.list_many(wanted)]

        assert found == [hour + name for hour in reversed(hours) if hour in hours[::2] for name in "ab"]

    def test_of_many_prefixes_may_be_left_early(self, store: ObjectStore) -> None:
        store.write("a", b"-")

        assert next(iter(store.list_many(["a"] * 100))).key == "a"


class TestObjects:
    def test_are_written_over_whole(self, store: ObjectStore) -> None:
        store.write("a/b", b"old and long")
        old = store.head("a/b")
        store.write("a/b", b"new")
        new = store.head("a/b")

        assert store.read("a/b") == b"new"
        assert old is not None
        assert new is not None
        assert old.etag != new.etag

    def test_stream_in_any_steps(self, store: ObjectStore) -> None:
        content = os.urandom(3_000_000)
        store.write("big", content)

        with store.open("big") as stream:
            start = stream.read(10)
            rest = b"".join(iter(lambda: stream.read(70_001), b""))
            assert stream.read() == b""

        assert start + rest == content
        assert store.read("big") == content

    def test_are_read_only_as_they_were_listed(self, store: ObjectStore) -> None:
        store.write("a", b"old")
        (listed,) = store.list("a")
        with store.open("a", listed.etag) as stream:
            assert stream.read() == b"old"
        store.write("a", b"newer")
        with pytest.raises(ObjectVanished):
            store.open("a", listed.etag)

    def test_may_be_empty(self, store: ObjectStore) -> None:
        store.write("empty", b"")

        assert store.read("empty") == b""

    def test_are_uploaded_from_a_file(self, store: ObjectStore, tmp_path: Path) -> None:
        local = tmp_path / "local"
        local.write_bytes(b"content")
        store.upload("up/loaded", local)

        assert store.read("up/loaded") == b"content"

    @pytest.mark.parametrize(
        "key", ["gone", "folder", "folder/file/below", "", "../secret", "folder/../folder/file", "\ud800"]
    )
    def test_that_are_not_there_have_vanished(self, store: ObjectStore, tmp_path: Path, key: str) -> None:
        (tmp_path / "secret").write_bytes(b"outside of the store")
        store.write("folder/file", b"-")

        assert store.head(key) is None
        with pytest.raises(ObjectVanished) as vanished:
            store.read(key)
        assert vanished.value.uri == store.uri_of(key)
        assert pickle.loads(pickle.dumps(vanished.value)).uri == vanished.value.uri  # noqa: S301
        store.delete([key])
        assert store.read("folder/file") == b"-"

    @pytest.mark.parametrize("key", ["", "../outside", "a/../b", "x" * 2000])
    def test_cannot_be_written_under_impossible_keys(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(ValueError, match="key"):
            store.write(key, b"-")
        with pytest.raises(ValueError, match="key"):
            store.create(key, b"-")

    def test_are_deleted_where_they_are(self, store: ObjectStore) -> None:
        for key in ODD_KEYS:
            store.write(key, b"-")

        store.delete([*ODD_KEYS[1:], "never/was"])

        assert keys(store) == [ODD_KEYS[0]]

    def test_are_deleted_by_prefix(self, store: ObjectStore) -> None:
        for key in ("p/1", "p/2/3", "p2", "q/1"):
            store.write(key, b"-")

        store.delete_prefix("p/")
        store.delete_prefix("none/")

        assert keys(store) == ["p2", "q/1"]
        with pytest.raises(ValueError, match="empty prefix"):
            store.delete_prefix("")

    def test_are_created_once(self, store: ObjectStore) -> None:
        assert store.create("a/new", b"first")
        assert not store.create("a/new", b"second")
        assert store.read("a/new") == b"first"

    def test_are_created_by_one_of_many(self, store: ObjectStore) -> None:
        takers = [f"taker {number}".encode() * 1000 for number in range(16)]
        together = threading.Barrier(len(takers))

        def create(content: bytes) -> bool:
            together.wait()
            return store.create("the/only", content)

        with ThreadPoolExecutor(len(takers)) as pool:
            won = list(pool.map(create, takers))

        assert won.count(True) == 1
        assert store.read("the/only") == takers[won.index(True)]
        assert keys(store) == ["the/only"]


def test_store_pickles(store: ObjectStore) -> None:
    store.write("a", b"-")
    copy: ObjectStore = pickle.loads(pickle.dumps(store))  # noqa: S301

    assert copy == store
    assert copy.read("a") == b"-"


def test_addresses(store: ObjectStore) -> None:
    assert not store.uri.endswith("/")
    assert store.uri_of("a/b c") == f"{store.uri}/a/b c"


@pytest.mark.parametrize("root", ["", "s3://", "s3:///prefix", "gs://bucket", "file:///tmp"])
def test_other_places_are_a_mistake_of_the_configuration(root: str) -> None:
    with pytest.raises(ConfigurationError, match="no place for objects"):
        open_store(root, S3Options())


class TestDirectory:
    def test_tells_of_what_was_cut_short_and_deletes_it_with_its_folder(self, tmp_path: Path) -> None:
        store = DirectoryStore(tmp_path)
        for key in ("p/whole", "q/r/whole"):
            store.write(key, b"-")
        cut = ("p/.contactlake-01.tmp", "q/r/.contactlake-02.tmp", ".contactlake-03.tmp")
        for key in cut:
            (tmp_path / key).write_bytes(b"-")
        assert keys(store) == ["p/whole", "q/r/whole"]
        assert sorted(store.unfinished("")) == sorted(cut)
        assert list(store.unfinished("q/")) == [cut[1]]
        assert list(store.unfinished("nowhere/")) == []
        store.delete_prefix("q/")
        assert not (tmp_path / "q").exists()
        store.delete(store.unfinished("p/"))
        assert [path.name for path in (tmp_path / "p").iterdir()] == ["whole"]

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "archive"
        root.mkdir()
        return root

    @pytest.fixture
    def store(self, root: Path) -> ObjectStore:
        return open_store(str(root), S3Options())

    def test_is_absolute(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(root.parent)

        assert open_store("archive/", S3Options()).uri == str(root)

    def test_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"no such place: No such file or directory \(ENOENT\); create"):
            keys(open_store(str(tmp_path / "no such place"), S3Options()), "p/")

    def test_that_is_a_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        with pytest.raises(StorageError, match=r"ENOTDIR"):
            keys(open_store(str(tmp_path / "file"), S3Options()))

    def test_is_made_by_the_first_write(self, tmp_path: Path) -> None:
        store = open_store(str(tmp_path / "new" / "lake"), S3Options())

        store.now()

        assert keys(store) == []

    def test_refusals_are_named(self, store: ObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store.write("locked/x", b"-")
        scandir = os.scandir

        def refuse(path: Path) -> Any:
            if path.name == "locked":
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(StorageError, match=rf"{root}/locked: Permission denied \(EACCES\); give this user"):
            keys(store)

    def test_failure_while_reading_is_named(self, store: ObjectStore, root: Path) -> None:
        (root / "x").symlink_to("/proc/self/mem")  # opens, but has nothing to read at its start

        with store.open("x") as stream, pytest.raises(StorageError, match=r"/x: Input/output error \(EIO\)"):
            stream.read()

    def test_walks_only_what_can_match(self, store: ObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for key in ("p/2024/x", "p/2025/01/y", "p/2025/02/z", "q/w"):
            store.write(key, b"-")
        walked = []
        scandir = os.scandir

        def watch(path: Path) -> Any:
            walked.append(str(path.relative_to(root)))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", watch)

        assert keys(store, "p/2025/01/") == ["p/2025/01/y"]
        assert walked == ["p/2025/01"]

    def test_follows_links_but_not_in_circles(self, store: ObjectStore, root: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "x").touch()
        (root / "a").mkdir()
        (root / "a" / "elsewhere").symlink_to(tmp_path / "elsewhere")
        (root / "a" / "file").symlink_to(tmp_path / "elsewhere" / "x")
        (root / "a" / "up").symlink_to(root)
        (root / "a" / "self").symlink_to("self")
        (root / "a" / "broken").symlink_to("nowhere")

        assert keys(store) == ["a/elsewhere/x", "a/file"]
        assert keys(store, "a/up/a/") == []
        assert keys(store, "a/elsewhere/") == ["a/elsewhere/x"]

    def test_skips_what_is_no_file(self, store: ObjectStore, root: Path) -> None:
        os.mkfifo(root / "pipe")

        assert keys(store) == []
        with pytest.raises(ObjectVanished):
            store.read("pipe")

    def test_names_that_are_not_utf8_are_named(self, store: ObjectStore, root: Path) -> None:
        Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9")).touch()

        with pytest.raises(StorageError, match=r"caf\\udce9' is no name that S3 could hold"):
            keys(store)

    def test_leaves_nothing_behind(self, store: ObjectStore, root: Path) -> None:
        store.write("a", b"-")
        store.create("b", b"-")
        store.create("b", b"-")
        store.now()

        assert sorted(path.name for path in root.iterdir()) == ["a", "b"]

    def test_never_shows_a_part(self, store: ObjectStore, root: Path) -> None:
        """What a run that was killed left unfinished is no object."""
        (root / ".contactlake-0123.tmp").write_bytes(b"half")

        assert keys(store) == []


class TestS3Refusals:
    def test_wrong_keys(self, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        open_store(s3_bucket.uri, s3_bucket.options).write("x", b"-")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
        store = open_store(s3_bucket.uri, s3_bucket.options)

        for refused in (
            lambda: list(store.list("p")),
            lambda: list(store.list_many(["p"])),
            lambda: store.read("x"),
            lambda: store.head("x"),
            lambda: store.write("x", b"-"),
            lambda: store.create("y", b"-"),
            lambda: store.delete(["x"]),
            lambda: store.now(),
        ):
            with pytest.raises(StorageError, match=rf"s3://{s3_bucket.name}.*\(HTTP 403\); check the cred") as refusal:
                refused()
            assert "not-the-secret" not in str(refusal.value)
            assert os.environ["AWS_ACCESS_KEY_ID"] not in str(refusal.value)

    def test_no_credentials(self, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))

        with pytest.raises(StorageError, match=r"no credentials .*; give credentials through the standard AWS chain"):
            keys(open_store(s3_bucket.uri, s3_bucket.options))

        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(StorageError, match=r"no credentials \(ProfileNotFound\)"):
            keys(open_store(s3_bucket.uri, s3_bucket.options))

    def test_missing_bucket(self, s3_bucket: Bucket, tmp_path: Path) -> None:
        store = open_store("s3://no-such-bucket/lake", s3_bucket.options)
        (tmp_path / "local").touch()

        for refused in (
            lambda: list(store.list("p")),
            lambda: store.read("x"),
            lambda: store.write("x", b"-"),
            lambda: store.upload("x", tmp_path / "local"),
            lambda: store.create("x", b"-"),
            lambda: store.now(),
        ):
            with pytest.raises(StorageError, match=r"s3://no-such-bucket.*NoSuchBucket \(HTTP 404\); create"):
                refused()

    def test_names_that_no_bucket_can_have(self, s3_bucket: Bucket) -> None:
        with pytest.raises(StorageError, match=r"s3://No Bucket"):
            keys(open_store("s3://No Bucket", s3_bucket.options))

    @pytest.mark.usefixtures("s3_bucket")
    def test_no_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and never listens
            monkeypatch.setattr(time, "sleep", lambda _: None)  # the client waits between its tries
            endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
            store = open_store("s3://bucket", S3Options(endpoint, path_style=True, region="us-east-1"))

            with pytest.raises(StorageError, match=r"s3://bucket/p cannot be reached: EndpointConnectionError"):
                keys(store, "p")

    @pytest.mark.usefixtures("s3_bucket")
    def test_endpoint_that_is_no_url(self) -> None:
        with pytest.raises(StorageError, match=r"the S3 endpoint 'nonsense' is no URL; set endpoint"):
            keys(open_store("s3://bucket", S3Options(endpoint="nonsense")))


class TestS3Pages:
    def test_lists_and_deletes_more_than_one_page(self, s3_bucket: Bucket) -> None:
        store = open_store(s3_bucket.uri, s3_bucket.options)
        wanted = [f"hour/{number:05}" for number in range(1005)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.write(key, b"-"), wanted))

        assert keys(store, "hour/") == wanted
        store.delete_prefix("hour/0")
        assert keys(store) == []


class TestS3Streams:
    """A connection that breaks while an object is read."""

    CONTENT = bytes(range(256)) * 4000

    @pytest.fixture
    def store(self, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
        monkeypatch.setattr(time, "sleep", lambda _: None)
        store = open_store(s3_bucket.uri, s3_bucket.options)
        store.write("x", self.CONTENT)
        return store

    def test_goes_on_where_it_broke(self, store: ObjectStore) -> None:
        with breaking_bodies(after=300_000) as bodies:
            assert store.read("x") == self.CONTENT
        assert bodies == [0, 300_000, 600_000, 900_000]

    def test_goes_on_where_it_ended_early(self, store: ObjectStore) -> None:
        with breaking_bodies(after=300_000, silently=True):
            assert store.read("x") == self.CONTENT

    def test_that_breaks_again_and_again_is_an_error(self, store: ObjectStore) -> None:
        with (
            breaking_bodies(after=0),
            pytest.raises(StorageError, match=r"/x broke off at byte 0 of 1024000: ReadTimeoutError"),
        ):
            store.read("x")

    def test_never_mixes_two_versions(self, store: ObjectStore) -> None:
        with breaking_bodies(after=300_000), store.open("x") as stream:
            stream.read(1000)
            store.write("x", b"!" * len(self.CONTENT))
            with pytest.raises(ObjectVanished):
                stream.read()

    def test_that_was_deleted_has_vanished(self, store: ObjectStore) -> None:
        with breaking_bodies(after=300_000), store.open("x") as stream:
            stream.read(1000)
            store.delete(["x"])
            with pytest.raises(ObjectVanished):
                stream.read()


@contextmanager
def breaking_bodies(after: int, *, silently: bool = False) -> Iterator[list[int]]:
    """Every body read within breaks `after` so many bytes; yields the offsets at which bodies were asked for."""
    get, offsets = s3_store.S3Store.get, []

    class Body:
        def __init__(self, body: Any) -> None:
            self._body, self._left = body, after

        def read(self, size: int) -> bytes:
            if not self._left and silently:
                return b""
            if not self._left:
                raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
            chunk: bytes = self._body.read(min(size, self._left))
            self._left -= len(chunk)
            return chunk

        def close(self) -> None:
            self._body.close()

    def broken(self: s3_store.S3Store, key: str, offset: int, etag: str | None) -> Any:
        offsets.append(offset)
        answer: dict[str, Any] = {**get(self, key, offset, etag)}
        return answer | {"Body": Body(answer["Body"])}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3_store.S3Store, "get", broken)
        yield offsets


class TestS3LostAnswers:
    """The client tries again when an answer is lost; its second try then meets its first."""

    def test_create_knows_its_own(self, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        store = open_store(s3_bucket.uri, s3_bucket.options)
        client = s3_client.client(s3_bucket.options)
        put = client.put_object

        def put_twice(**request: Any) -> Any:
            put(**request)
            return put(**request)

        monkeypatch.setattr(client, "put_object", put_twice)

        assert store.create("x", b"-")
