"""One writer at a time, over a directory and a bucket of a real server."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.s3_server import Bucket

from contactlake.archive.storage import ObjectInfo, ObjectStore, S3Options, open_store
from contactlake.errors import LakeHeld, StorageError
from contactlake.lock import Lease, acquire_lease

LONG, SHORT = 600, 1
PATIENCE_SECONDS = 60


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A lake that nothing was written to yet: of the directory not even its root is there."""
    if request.param == "directory":
        return open_store(str(tmp_path / "build" / "lake"), S3Options())
    bucket: Bucket = request.getfixturevalue("s3_bucket")
    return open_store(f"{bucket.uri}/lake", bucket.options)


@pytest.fixture
def directory(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path), S3Options())


def lease_key(number: int) -> str:
    return f"_lease/{number:020}.json"


def lease_of(run_id: str, lease_seconds: float) -> bytes:
    terms = {"run_id": run_id, "holder": "who@where 1", "since": "then", "lease_seconds": lease_seconds}
    return json.dumps(terms | {"released": False}).encode()


def said_by(store: ObjectStore, number: int) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(store.read(lease_key(number)))
    return said


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def acquired_once_expired(store: ObjectStore, run_id: str) -> Lease:
    taken: list[Lease] = []

    def take() -> bool:
        try:
            taken.append(acquire_lease(store, run_id, LONG))
        except LakeHeld:
            return False
        return True

    until(take)
    return taken[0]


def take_and_release(store: ObjectStore) -> Lease:
    with acquire_lease(store, "run", LONG) as lease:
        return lease


def backdate(directory: ObjectStore, number: int, seconds: float) -> None:
    """As if the lease had last been renewed so long ago."""
    then = time.time() - seconds
    os.utime(directory.uri_of(lease_key(number)), (then, then))


class Unreliable:
    """A store whose writes of leases fail while `fails` says so."""

    def __init__(self, store: ObjectStore, fails: Callable[[], bool]) -> None:
        self._store, self._fails = store, fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, key: str, content: bytes) -> None:
        if self._fails():
            raise StorageError("the lake is away", "wait")
        self._store.write(key, content)


def unreliable(store: ObjectStore, fails: Callable[[], bool]) -> ObjectStore:
    fake: Any = Unreliable(store, fails)
    unreliable_store: ObjectStore = fake
    return unreliable_store


class TestTaking:
    def test_the_first_lease_says_whose_it_is(self, store: ObjectStore) -> None:
        with acquire_lease(store, "run-1", LONG) as lease:
            lease.check()
            said = said_by(store, 1)

        assert lease.number == 1
        assert said["run_id"] == "run-1"
        assert said["holder"].endswith(f" {os.getpid()}")
        assert "@" in said["holder"]
        assert said["since"].endswith("+00:00")
        assert said["lease_seconds"] == LONG
        assert said["released"] is False

    def test_a_held_lake_names_holder_and_since(self, store: ObjectStore) -> None:
        with acquire_lease(store, "run-1", LONG):
            said = said_by(store, 1)
            with pytest.raises(LakeHeld) as held:
                acquire_lease(store, "run-2", LONG)

        assert held.value.problem == f"{store.uri} is held by run run-1 ({said['holder']}) since {said['since']}"
        assert [found.key for found in store.list("")] == [lease_key(1)]

    def test_a_released_lake_is_free_at_once(self, store: ObjectStore) -> None:
        with acquire_lease(store, "run-1", LONG):
            pass
        with acquire_lease(store, "run-2", LONG) as second:
            second.check()

        assert second.number == 2
        assert said_by(store, 1)["released"] is True

    def test_a_run_that_fails_lets_go(self, directory: ObjectStore) -> None:
        with pytest.raises(RuntimeError, match="defect"), acquire_lease(directory, "run-1", LONG):
            raise RuntimeError("defect")

        acquire_lease(directory, "run-2", LONG).release()

    def test_of_a_dead_run_is_free_once_expired(self, store: ObjectStore) -> None:
        dead = {
            "run_id": "dead",
            "holder": "who@where 1",
            "since": "then",
            "lease_seconds": 2 * SHORT,
            "released": False,
        }
        assert store.create(lease_key(7), json.dumps(dead).encode())
        with pytest.raises(LakeHeld, match=r"is held by run dead \(who@where 1\) since then"):
            acquire_lease(store, "run-2", LONG)

        with acquired_once_expired(store, "run-2") as lease:
            assert lease.number == 8

    def test_a_live_run_renews_it(self, store: ObjectStore) -> None:
        with acquire_lease(store, "run-1", 6 * SHORT) as lease:
            taken = store.head(lease_key(1))
            assert taken is not None

            def is_renewed() -> bool:
                latest = store.head(lease_key(1))
                return latest is not None and latest.modified_at > taken.modified_at

            until(is_renewed)
            with pytest.raises(LakeHeld):
                acquire_lease(store, "run-2", LONG)
            lease.check()

    def test_goes_to_one_of_many(self, store: ObjectStore) -> None:
        acquire_lease(store, "before", LONG).release()
        together = threading.Barrier(8)

        def take(number: int) -> Lease | LakeHeld:
            together.wait()
            try:
                return acquire_lease(store, f"run-{number}", LONG)
            except LakeHeld as held:
                return held

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(take, range(8)))

        (lease,) = (outcome for outcome in outcomes if isinstance(outcome, Lease))
        winner = said_by(store, 2)["run_id"]
        assert lease.number == 2
        assert all(f"is held by run {winner} " in str(outcome) for outcome in outcomes if outcome is not lease)
        lease.check()
        lease.release()

    def test_keeps_the_last_leases_alone(self, store: ObjectStore) -> None:
        for _ in range(13):
            acquire_lease(store, "run", LONG).release()

        assert [found.key for found in store.list("_lease/")] == [lease_key(number) for number in range(4, 14)]

    def test_other_files_beside_the_leases_do_not_count(self, directory: ObjectStore) -> None:
        for name in ("README", "123.json", lease_key(5).removeprefix("_lease/") + "~", "z/" + lease_key(9)):
            directory.write(f"_lease/{name}", b"-")

        with acquire_lease(directory, "run", LONG) as lease:
            lease.check()
            assert lease.number == 1

    def test_tells_whether_the_holder_before_has_ended(self, directory: ObjectStore) -> None:
        assert [take_and_release(directory).follows_release for _ in range(2)] == [False, True]
        directory.write(lease_key(3), lease_of("dead", 5))
        backdate(directory, 3, 10)
        assert take_and_release(directory).follows_release is False

    def test_of_a_dead_run_expires_by_the_stores_clock(self, directory: ObjectStore) -> None:
        directory.write(lease_key(3), lease_of("dead", 600))
        backdate(directory, 3, 595)
        with pytest.raises(LakeHeld, match="expires 600 s after its last renewal"):
            acquire_lease(directory, "run", LONG)
        backdate(directory, 3, 605)
        assert take_and_release(directory).number == 4

    def test_a_clock_that_was_set_back_is_told(self, directory: ObjectStore) -> None:
        directory.write(lease_key(3), lease_of("dead", 600))
        backdate(directory, 3, -86_400)
        with pytest.raises(LakeHeld, match=r"run dead \(who@where 1\) since then, whose last renewal lies .* set back"):
            acquire_lease(directory, "run", LONG)

    def test_numbers_go_on_where_all_lease_files_are_gone(
        self, store: ObjectStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        with acquire_lease(store, "run-1", LONG, lambda: 0) as lease:
            assert lease.number == 1
        with acquire_lease(store, "run-2", LONG, lambda: 99) as lease:
            assert lease.number == 2  # the files tell
            store.delete_prefix("_lease/")
            with acquire_lease(store, "run-3", LONG, lambda: 41) as other:
                assert (other.number, other.follows_release) == (141, False)
                assert "holds no lease file although run 41 has written there" in caplog.text
                with pytest.raises(LakeHeld, match="run-3"):
                    lease.check()
                other.check()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b'{"run_id": "run-1", "hold',
            b"[]",
            b"null",
            b"\xff\xfe",
            b"{}",
            b'{"released": false}',
            b'{"run_id": "r", "holder": "h", "since": "s", "lease_seconds": "120", "released": false}',
            b'{"run_id": "r", "holder": "h", "since": "s", "lease_seconds": NaN, "released": false}',
            b'{"run_id": "r", "holder": "h", "since": "s", "lease_seconds": 1e300, "released": false}',
            b'{"run_id": "r", "holder": "h", "since": "s", "lease_seconds": -1, "released": false}',
        ],
    )
    def test_a_corrupt_lease_is_named_with_a_way_out(self, directory: ObjectStore, content: bytes) -> None:
        directory.write(lease_key(3), content)

        with pytest.raises(StorageError, match=rf"{directory.uri_of(lease_key(3))} is no lease that can be read"):
            acquire_lease(directory, "run", LONG)

        directory.write(lease_key(3), b'{"released": true}')
        with acquire_lease(directory, "run", LONG) as lease:
            assert lease.number == 4


class TestHolding:
    def test_is_lost_to_a_greater_number(self, store: ObjectStore) -> None:
        with acquire_lease(store, "run-1", LONG) as lease:
            lease.check()
            store.write(lease_key(2), lease_of("other", LONG))

            for _ in range(2):
                with pytest.raises(LakeHeld, match=r"run other \(who@where 1\) since then took the lake over"):
                    lease.check()

        assert said_by(store, 1)["released"] is False

    def test_is_lost_to_a_greater_number_that_cannot_be_read(self, directory: ObjectStore) -> None:
        with acquire_lease(directory, "run-1", LONG) as lease:
            directory.write(lease_key(2), b"{")
            with pytest.raises(LakeHeld, match="another run took the lake over"):
                lease.check()

    def test_is_in_doubt_where_the_lake_is_away(self, directory: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(self: object, prefix: str) -> Iterator[ObjectInfo]:
            raise StorageError("the lake is away", "wait")

        with acquire_lease(directory, "run-1", LONG) as lease:
            with monkeypatch.context() as patch:
                patch.setattr(type(directory), "list", away)
                with pytest.raises(StorageError, match="the lake is away"):
                    lease.check()
            lease.check()

    def test_is_lost_with_its_file(self, directory: ObjectStore) -> None:
        with acquire_lease(directory, "run-1", LONG) as lease:
            directory.delete_prefix("_lease/")
            for _ in range(2):
                with pytest.raises(LakeHeld, match="its file is gone"):
                    lease.check()

    def test_is_over_after_release(self, directory: ObjectStore) -> None:
        lease = acquire_lease(directory, "run-1", LONG)
        lease.release()
        lease.release()

        with pytest.raises(LakeHeld, match=r"lease 1 on .* was released"):
            lease.check()

    def test_outlives_a_storage_that_is_away_for_a_while(self, directory: ObjectStore) -> None:
        failures = iter([True, True, False])
        renewed = threading.Event()

        def fails() -> bool:
            failing = next(failures, False)
            if not failing:
                renewed.set()
            return failing

        with acquire_lease(unreliable(directory, fails), "run-1", 6 * SHORT) as lease:
            assert renewed.wait(PATIENCE_SECONDS)
            lease.check()

    def test_is_lost_when_it_cannot_be_renewed(self, directory: ObjectStore) -> None:
        with acquire_lease(unreliable(directory, lambda: True), "run-1", SHORT) as lease:

            def is_lost() -> bool:
                try:
                    lease.check()
                except LakeHeld as lost:
                    return "was not renewed for 1 s" in str(lost)
                return False

            until(is_lost)
            with pytest.raises(LakeHeld, match="was not renewed"):
                lease.check_time()
            assert "was not renewed" in str(lease.loss())

    def test_is_lost_when_a_renewal_hangs(self, directory: ObjectStore) -> None:
        answers = threading.Event()

        def hangs() -> bool:
            answers.wait()
            return False

        lease = acquire_lease(unreliable(directory, hangs), "run-1", SHORT)
        follower = acquired_once_expired(directory, "run-2")
        until(lambda: lease.loss() is not None)
        answers.set()  # it comes through at last, and means nothing any more
        lease.release()
        with pytest.raises(LakeHeld, match="run-2"):
            acquire_lease(directory, "run-3", LONG)
        follower.check()
        follower.release()

    def test_a_loss_that_cannot_be_told_is_none(
        self, directory: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def away(self: object, prefix: str) -> Iterator[ObjectInfo]:
            raise StorageError("the lake is away", "wait")

        with acquire_lease(directory, "run-1", LONG) as lease:
            lease.check_time()
            assert lease.loss() is None
            monkeypatch.setattr(type(directory), "list", away)
            lease.check_time()  # asks nobody
            assert lease.loss() is None
            assert "whether lease 1 is still held cannot be told: the lake is away" in caplog.text

    def test_a_release_that_fails_is_left_to_expiry(
        self, directory: ObjectStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        with acquire_lease(unreliable(directory, lambda: True), "run-1", LONG):
            pass

        assert "lease 1 was not released, and expires by itself: the lake is away" in caplog.text
        with pytest.raises(LakeHeld):
            acquire_lease(directory, "run-2", LONG)


HOLDER = """
import sys
from contactlake.archive.storage import S3Options, open_store
from contactlake.errors import LakeHeld
from contactlake.lock import acquire_lease

root, endpoint, seconds = sys.argv[1:]
store = open_store(root, S3Options(endpoint or None, path_style=True, region="us-east-1"))
try:
    lease = acquire_lease(store, "child", float(seconds))
except LakeHeld as held:
    print("held", held, flush=True)
else:
    print("took", lease.number, flush=True)
    for _ in sys.stdin:
        try:
            lease.check()
            print("holds", flush=True)
        except LakeHeld as lost:
            print("lost", lost, flush=True)
"""


class TestProcesses:
    """Holders that are processes of their own, and may be paused or killed."""

    @pytest.fixture
    def start(self, store: ObjectStore) -> Iterator[Callable[[float], "subprocess.Popen[str]"]]:
        options: S3Options = getattr(store, "options", S3Options())

        with ExitStack() as started:

            def start(seconds: float) -> "subprocess.Popen[str]":
                child = subprocess.Popen(
                    [sys.executable, "-c", HOLDER, store.uri, options.endpoint or "", str(seconds)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                )
                started.enter_context(child)
                started.callback(child.kill)
                return child

            yield start

    def test_a_paused_holder_finds_that_it_lost(
        self, store: ObjectStore, start: Callable[[float], "subprocess.Popen[str]"]
    ) -> None:
        child = start(3 * SHORT)
        assert answer(child) == "took 1"
        assert answer(child, "check") == "holds"

        child.send_signal(signal.SIGSTOP)
        with acquired_once_expired(store, "parent") as lease:
            child.send_signal(signal.SIGCONT)

            for _ in range(2):
                assert re.match(
                    r"lost lease 1 on .* was lost: run parent .* took the lake over", answer(child, "check")
                )
            lease.check()
        assert lease.number == 2
        assert answer(child, "check").startswith("lost lease 1 on ")

    def test_a_killed_holder_is_followed(
        self, store: ObjectStore, start: Callable[[float], "subprocess.Popen[str]"]
    ) -> None:
        child = start(SHORT)
        assert answer(child) == "took 1"
        child.kill()

        with acquired_once_expired(store, "parent") as lease:
            assert lease.number == 2

    def test_of_several_one_holds(self, store: ObjectStore, start: Callable[[float], "subprocess.Popen[str]"]) -> None:
        children = [start(LONG) for _ in range(3)]
        answers = sorted(answer(child) for child in children)

        assert [said.split()[0] for said in answers] == ["held", "held", "took"]
        assert all(" is held by run child (" in said for said in answers[:2])


def answer(child: "subprocess.Popen[str]", question: str | None = None) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    if question is not None:
        child.stdin.write(f"{question}\n")
        child.stdin.flush()
    return child.stdout.readline().strip()
