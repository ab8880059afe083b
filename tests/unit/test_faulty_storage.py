"""What the driver's two S3 clients make of a server that refuses, breaks off or is silent: done after all, or told."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tests.faulty_s3 import Act, Cut, Drop, FaultyS3, LoseAnswer, Meanwhile, Refuse, Slowly, Stall
from tests.s3_server import Bucket

from contactlake import delta_log
from contactlake.archive import s3_client
from contactlake.archive.storage import ObjectStore, ObjectVanished, open_store
from contactlake.delta_log import CommitConflict, DeltaLog
from contactlake.errors import StorageError

CONTENT = bytes(range(256)) * 4000
SLOW_DOWN, INTERNAL, DENIED = Refuse(503, "SlowDown"), Refuse(500, "InternalError"), Refuse(403, "AccessDenied")


@pytest.fixture
def faulty(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    monkeypatch.setattr(s3_client, "_ANSWER_SECONDS", 1)
    monkeypatch.setattr(s3_client, "_RETRY_SECONDS", 2)
    monkeypatch.setattr(s3_client, "_ATTEMPTS", 2)
    monkeypatch.setattr(delta_log, "_PAUSES", (0.1,))
    with FaultyS3(s3_bucket) as faulty:
        yield faulty


@pytest.fixture
def store(faulty: FaultyS3) -> ObjectStore:
    store = open_store(faulty.bucket.uri, faulty.bucket.options)
    store.write("a b+c", CONTENT)
    return store


@pytest.mark.parametrize("act", [SLOW_DOWN, INTERNAL, Drop(), Slowly(0.3), Stall()], ids=repr)
class TestAServerThatDoesNotAnswerAtOnce:
    def test_is_read_from_all_the_same(self, store: ObjectStore, faulty: FaultyS3, act: Act) -> None:
        faulty.add("^GET .*/a b[+]c", act)
        faulty.add("^GET .*list-type", act)
        assert [found.key for found in store.list("")] == ["a b+c"]
        assert store.read("a b+c") == CONTENT
        assert faulty.clear() == [1, 1]

    def test_is_written_to_all_the_same(self, store: ObjectStore, faulty: FaultyS3, act: Act) -> None:
        for pattern in ("^PUT .*/new", "^PUT .*/other", "^POST .*delete"):
            faulty.add(pattern, act)
        store.write("new", CONTENT)
        assert store.create("other", b"-")
        store.delete(["a b+c"])
        assert faulty.clear() == [1, 1, 1]
        assert [found.key for found in store.list("")] == ["new", "other"]
        assert store.read("new") == CONTENT


class TestAServerThatBreaksOff:
    @pytest.mark.parametrize("act", [Cut(300_000), Cut(300_000, is_reset=True), Stall(300_000)], ids=repr)
    def test_is_read_on_from_there(self, store: ObjectStore, faulty: FaultyS3, act: Act) -> None:
        faulty.add("^GET .*/a b[+]c", act, times=2)
        assert store.read("a b+c") == CONTENT
        assert faulty.clear() == [2]

    def test_is_told_in_the_end(self, store: ObjectStore, faulty: FaultyS3) -> None:
        faulty.add("^GET .*/a b[+]c", Cut(0), times=None)
        with pytest.raises(StorageError, match=r"/a b\+c broke off at byte 0 of 1024000"):
            store.read("a b+c")

    def test_has_created_what_it_created(self, store: ObjectStore, faulty: FaultyS3) -> None:
        faulty.add("^PUT .*/mine", LoseAnswer())
        assert store.create("mine", b"-")
        assert not store.create("mine", b"-")

    @pytest.mark.parametrize("content", [b"!" * len(CONTENT), None], ids=["replaced", "deleted"])
    def test_and_what_changed_meanwhile_is_never_mixed(
        self, store: ObjectStore, faulty: FaultyS3, content: bytes | None
    ) -> None:
        faulty.add("^GET .*/a b[+]c", Cut(300_000))
        faulty.add("^GET .*/a b[+]c", Meanwhile(faulty.bucket.name, "a b+c", content))
        with pytest.raises(ObjectVanished):
            store.read("a b+c")
        assert faulty.clear() == [1, 1]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (SLOW_DOWN, r"refused with SlowDown \(HTTP 503\); see the server's own log, or try again later"),
        (INTERNAL, r"refused with InternalError \(HTTP 500\)"),
        (DENIED, r"refused with AccessDenied \(HTTP 403\); check the credentials"),
        (Drop(), "cannot be reached: (ConnectionClosedError|Connection reset by peer)"),
        (Stall(), "cannot be reached: (ReadTimeoutError|operation timed out)"),
    ],
    ids=repr,
)
class TestAServerThatNeverDoes:
    def test_is_named_with_what_it_said(self, store: ObjectStore, faulty: FaultyS3, act: Act, told: str) -> None:
        faulty.add(".", act, times=None)
        for action in (lambda: list(store.list("p")), lambda: store.read("x"), lambda: store.create("x", b"-")):
            with pytest.raises(StorageError, match=rf"{store.uri}/[px]:? {told}"):
                action()

    def test_is_named_where_a_table_lies(self, store: ObjectStore, faulty: FaultyS3, act: Act, told: str) -> None:
        table(store)
        faulty.add("_delta_log/", act, times=None)
        with pytest.raises(StorageError, match=rf"{store.uri}/t:? {told}"):
            DeltaLog(store, "t")

    def test_has_no_commit_of_ours(self, store: ObjectStore, faulty: FaultyS3, act: Act, told: str) -> None:
        log = table(store)
        faulty.add("^PUT .*_delta_log/", act, times=None)
        with pytest.raises(StorageError, match=rf"{store.uri}/t:? {told}"):
            log.commit([], log.files(), 7)
        faulty.clear()
        assert (log.refresh(), log.last_transaction()) == (0, None)


def table(store: ObjectStore) -> DeltaLog:
    """A table of a thousand rows."""
    write_deltalake(f"{store.uri}/t", pa.table({"a": list(range(1000))}), storage_options=store.connection())
    return DeltaLog(store, "t")


_PASSING = (SLOW_DOWN, INTERNAL, Drop(), Cut(10), Cut(10, is_reset=True), Stall(), Stall(10))


class TestATable:
    @pytest.mark.parametrize("act", _PASSING, ids=repr)
    def test_is_read_all_the_same(self, store: ObjectStore, faulty: FaultyS3, act: Act) -> None:
        table(store)
        for pattern in ("^GET .*list-type", r"^GET .*_delta_log/\d+.json", "^GET .*parquet"):
            faulty.add(pattern, act)
        log = DeltaLog(store, "t")
        assert log.rows(["a"], None).num_rows == 1000
        assert faulty.clear() == [1, 1, 1]

    @pytest.mark.parametrize("act", [*_PASSING, LoseAnswer(), Refuse(409, "ConditionalRequestConflict")], ids=repr)
    def test_is_written_to_once(self, store: ObjectStore, faulty: FaultyS3, act: Act) -> None:
        log = table(store)
        for version in (1, 2):
            faulty.add("^PUT .*_delta_log/", act)
            assert (log.commit([], log.files(), 1) if version == 1 else log.restore(0, 2)) == version
            assert (log.refresh(), log.last_transaction()) == (version, version)
            assert faulty.clear() == [1]

    def test_that_somebody_else_wrote_to_meanwhile_is_not(self, store: ObjectStore, faulty: FaultyS3) -> None:
        log = table(store)
        theirs = b'{"commitInfo":{}}'
        key = "t/_delta_log/00000000000000000001.json"
        faulty.add("^PUT .*_delta_log/", Meanwhile(faulty.bucket.name, key, theirs))
        with pytest.raises(CommitConflict):
            log.commit([], log.files(), 1)
        assert store.read(key) == theirs
        assert faulty.clear() == [1]

    def test_that_somebody_else_wrote_to_before_the_next_try_is_not(self, store: ObjectStore, faulty: FaultyS3) -> None:
        log = table(store)
        store.create("t/_delta_log/00000000000000000001.json", b'{"commitInfo":{}}')
        faulty.add("^PUT .*_delta_log/", Drop())
        with pytest.raises((CommitConflict, StorageError)):
            log.commit([], log.files(), 1)
        faulty.clear()
        assert (log.refresh(), log.last_transaction()) == (1, None)
