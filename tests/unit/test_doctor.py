"""The doctor's checks, one by one and all together, over directories and a bucket of a real server."""

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.lakes import write_objects
from tests.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, SeaweedFS

from contactlake import doctor
from contactlake.archive.listing import Place, newest_object
from contactlake.archive.storage import ObjectStore, S3Options, open_store
from contactlake.config import parse_configuration
from contactlake.doctor import engine, host, places
from contactlake.doctor.examination import Examination, Finding
from contactlake.lock import acquire_lease, lease_key
from contactlake.store import MARKER, Lake
from contactlake.tables.ops import PENDING_DATE

HOURLY = "%Y/%m/%d/%H/"
NOW = datetime.now(UTC)
"""The doctor judges by the host's clock, and its findings are the same for an hour and more."""


def hour(ago: timedelta) -> str:
    return f"{datetime.now(UTC) - ago:%Y/%m/%d/%H}"


def examination(lake: str, archive: str, options: S3Options | None = None, **changes: Any) -> Examination:
    """Of a configuration with one feed entry; `changes` are further keys of it."""
    values: dict[str, Any] = {
        "lake": {"root": lake, "timezone": "America/Chicago"},
        "feed": [{"name": "symbee", "archive": archive, "prefix": "interactions/", **changes.pop("feed", {})}],
        **changes,
    }
    if options is not None:
        s3 = {"endpoint": options.endpoint, "path_style": options.path_style, "region": options.region}
        values["storage"] = {"s3": s3}
    return Examination(None, parse_configuration(values, "test.toml"))


@pytest.fixture
def healthy(tmp_path: Path) -> Examination:
    write_objects(tmp_path, {f"archive/interactions/{hour(timedelta())}/a": b"{}"})
    return examination(str(tmp_path / "lake"), str(tmp_path / "archive"))


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def made(check: Callable[[Examination], Iterator[Finding]], of: Examination) -> Finding:
    """The check's one finding, errors taken as in the report."""
    return only(doctor.findings(of, check))


def everything_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@contextmanager
def as_somebody() -> Iterator[None]:
    """As a user whom rights keep out, even where the tests are the superuser's."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was == 0:
            os.seteuid(was)


class TestNewestObject:
    @pytest.fixture(params=["directory", "s3"])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
        if request.param == "directory":
            return open_store(str(tmp_path), S3Options())
        bucket: Bucket = request.getfixturevalue("s3_bucket")
        return open_store(bucket.uri, bucket.options)

    @pytest.mark.parametrize(
        ("layout", "keys", "newest"),
        [
            (HOURLY, [], None),
            (HOURLY, ["p/2024/12/31/23/a", "p/2025/01/01/00/b"], "p/2025/01/01/00/b"),
            (HOURLY, ["p/2025/03/04/18/a", "p/2025/03/04/17/z"], "p/2025/03/04/18/a"),
            (HOURLY, ["p/2025/03/04/18/.hidden", "p/2025/03/04/19/_SUCCESS", "p/2025/03/03/01/a"], "p/2025/03/03/01/a"),
            (HOURLY, ["p/processing-failed/2025/03/04/20/x", "p/2019/03/04/18/a"], "p/2019/03/04/18/a"),
            (HOURLY, ["p/2025/13/41/99/a", "p/2025/02/01/00/b"], "p/2025/02/01/00/b"),
            (HOURLY, ["p/2025/03/04/a", "p/a", "q/2025/03/04/18/a"], None),
            (HOURLY, ["p/2025/03/06/01/later", "p/2025/03/06/00/last"], "p/2025/03/06/00/last"),
            ("%Y/%m/%d/", ["p/2025/03/04/a", "p/2025/03/05/b"], "p/2025/03/05/b"),
            ("y=%Y/h=%m/", ["p/y=2025/h=02/a", "p/y=2024/h=12/b"], "p/y=2025/h=02/a"),
            ("", ["p/x", "p/y/z"], "p/y/z"),
        ],
    )
    def test_it_is_found_in_its_layout(
        self, store: ObjectStore, layout: str, keys: list[str], newest: str | None
    ) -> None:
        for key in keys:
            store.write(key, b"-")
        store.write("p/2025/03/05/20/empty", b"")
        found = newest_object(store, Place("p/", layout, "UTC"), datetime(2025, 3, 6, tzinfo=UTC))
        assert (found.key if found else None) == newest


class TestArchive:
    @pytest.mark.parametrize(
        ("age", "verdict", "told"),
        [
            (timedelta(), "ok", ""),
            (timedelta(hours=7), "ok", " h ago"),
            (timedelta(hours=27), "warn", " h ago"),
            (timedelta(days=9), "warn", "8 days ago"),
            (timedelta(hours=-5), "warn", "still to come"),
        ],
    )
    def test_the_newest_object_tells_whether_a_feed_is_silent(
        self, tmp_path: Path, age: timedelta, verdict: str, told: str
    ) -> None:
        write_objects(tmp_path, {f"interactions/{hour(age)}/a": b"{}", "interactions/2024/01/01/00/old": b"{}"})
        found = made(places.archive, examination(str(tmp_path / "lake"), str(tmp_path)))
        assert (found.verdict, found.exit_code) == (verdict, 0)
        assert f"symbee {tmp_path}/interactions/: newest object {hour(age)[:10].replace('/', '-')}" in found.found
        assert told in found.found
        assert bool(found.remedy) is (verdict == "warn")

    def test_a_feed_by_dates_is_not_silent_on_its_date(self, tmp_path: Path) -> None:
        write_objects(tmp_path, {f"interactions/{datetime.now(UTC):%Y/%m/%d}/a": b"{}"})
        found = made(places.archive, examination(str(tmp_path), str(tmp_path), feed={"layout": "%Y/%m/%d/"}))
        assert (found.verdict, found.found[-5:]) == ("ok", "today")

    def test_nothing_at_all_fails_and_says_what_lies_there_instead(self, tmp_path: Path) -> None:
        write_objects(tmp_path, {"else/x": b"{}"})
        found = made(places.archive, examination(str(tmp_path / "lake"), str(tmp_path)))
        assert (found.verdict, found.exit_code) == ("FAIL", 4)
        assert "nothing lies there" in found.found
        write_objects(tmp_path, {"interactions/year=2025/x": b"{}"})
        found = made(places.archive, examination(str(tmp_path / "lake"), str(tmp_path)))
        assert (found.verdict, found.exit_code) == ("FAIL", 4)
        assert "interactions/year=2025/x" in found.found

    def test_each_entry_has_its_line(self, tmp_path: Path) -> None:
        write_objects(tmp_path, {f"interactions/{hour(timedelta())}/a": b"{}"})
        of = examination(str(tmp_path / "lake"), str(tmp_path))
        assert of.configuration is not None
        missing = of.configuration.feed[0].model_copy(update={"archive": str(tmp_path / "nowhere")})
        of.configuration = of.configuration.model_copy(update={"feed": (missing, of.configuration.feed[0])})
        first, second = doctor.findings(of, places.archive)
        assert (first.verdict, first.exit_code, second.verdict) == ("FAIL", 4, "ok")
        assert f"{tmp_path}/nowhere: No such file or directory" in first.found

    def test_wrong_keys_and_a_missing_bucket(self, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        open_store(s3_bucket.uri, s3_bucket.options).write(f"interactions/{hour(timedelta())}/a", b"{}")
        good = examination("lake", s3_bucket.uri, s3_bucket.options)
        assert made(places.archive, good).verdict == "ok"
        elsewhere = made(places.archive, examination("lake", "s3://no-such-bucket-here", s3_bucket.options))
        assert (elsewhere.exit_code, "NoSuchBucket" in elsewhere.found) == (4, True)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
        refused = made(places.archive, good)
        assert (refused.verdict, refused.exit_code) == ("FAIL", 4)
        assert s3_bucket.uri in refused.found
        assert "credentials" in refused.remedy
        assert "not-the-secret" not in f"{refused}"


class TestLake:
    def test_a_directory_is_left_as_it_was(self, healthy: Examination, tmp_path: Path) -> None:
        (tmp_path / "lake").mkdir()
        (tmp_path / "lake" / "mine").write_text("-")
        before = everything_below(tmp_path)
        found = made(places.lake, healthy)
        assert (found.verdict, found.found.endswith(", holds no lake yet")) == ("ok", True)
        assert everything_below(tmp_path) == before

    def test_a_bucket_is_left_as_it_was(self, s3_bucket: Bucket) -> None:
        found = made(places.lake, examination(f"{s3_bucket.uri}/lake", "archive", s3_bucket.options))
        assert found.verdict == "ok"
        assert list(open_store(s3_bucket.uri, s3_bucket.options).list("")) == []

    def test_a_folder_that_must_not_be_written_to(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "lake").mkdir()
            (folder / "lake").chmod(0o555)
            folder.chmod(0o755)
            with as_somebody():
                found = made(places.lake, examination(str(folder / "lake"), "archive"))
                below = made(places.lake, examination(str(folder / "lake" / "deeper"), "archive"))
            assert (found.verdict, found.exit_code) == ("FAIL", 4)
            assert "Permission denied" in found.found
            assert "right" in found.remedy
            assert below.exit_code == 4
            assert everything_below(folder) == [folder / "lake"]

    def test_keys_that_may_only_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with SeaweedFS({"AKIAREADONLY": ("a-reader's-secret", ("Read", "List"))}) as server:
            bucket = server.create_bucket(f"test-{uuid.uuid4().hex}")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREADONLY")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-reader's-secret")
            found = made(places.lake, examination(f"{bucket.uri}/lake", "archive", bucket.options))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            assert list(open_store(bucket.uri, bucket.options).list("")) == []
        assert (found.verdict, found.exit_code) == ("FAIL", 4)
        assert "refused with AccessDenied (HTTP 403)" in found.found
        assert "secret" not in f"{found}"

    def test_a_newer_lake(self, healthy: Examination) -> None:
        healthy.lake.write(MARKER, json.dumps({"schema_version": 99}).encode())
        found = made(places.lake, healthy)
        assert (found.exit_code, "newer contactlake" in found.found) == (4, True)

    def test_the_place_of_the_data_docs(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("-")
        lake = str(tmp_path / "lake")
        assert list(doctor.findings(examination(lake, "archive"), places.data_docs)) == []
        elsewhere = examination(lake, "archive", quality={"data_docs": str(tmp_path / "docs")})
        assert made(places.data_docs, elsewhere).verdict == "ok"
        wrong = made(places.data_docs, examination(lake, "a", quality={"data_docs": str(tmp_path / "file" / "docs")}))
        assert (wrong.verdict, wrong.exit_code) == ("FAIL", 4)


@pytest.mark.parametrize(
    ("ahead", "verdict", "told"),
    [
        (0, "ok", "is that of"),
        (-1.5, "ok", "is that of"),
        (30, "ok", "30 s ahead of"),
        (-60, "ok", "60 s behind"),
        (61, "warn", "61 s ahead of"),
        (-3600, "warn", "3600 s behind"),
    ],
)
def test_a_clock_may_be_a_minute_off(ahead: float, verdict: str, told: str) -> None:
    found = places.told_time(timedelta(seconds=ahead), "s3://lake")
    assert (found.verdict, bool(found.remedy), found.exit_code) == (verdict, verdict == "warn", 0)
    assert told in found.found


def test_the_clock_is_a_buckets_where_there_is_one(s3_bucket: Bucket, healthy: Examination, tmp_path: Path) -> None:
    assert made(places.clock, healthy).found == f"this host's clock is that of {tmp_path}/lake"
    with_bucket = examination(str(tmp_path / "lake"), s3_bucket.uri, s3_bucket.options)
    assert made(places.clock, with_bucket).found.endswith(s3_bucket.uri)


class TestLock:
    @pytest.fixture
    def lake(self, healthy: Examination) -> ObjectStore:
        healthy.lake.write(MARKER, json.dumps({"schema_version": 1}).encode())
        return healthy.lake

    def test_free_and_held(self, lake: ObjectStore, healthy: Examination) -> None:
        assert made(places.lock, healthy).found == "free: no run has taken the lake yet"
        with acquire_lease(lake, "some-run", 600):
            held = made(places.lock, healthy)
            leases = [found.key for found in lake.list("_lease/")]
        assert (held.verdict, held.exit_code, leases) == ("ok", 0, [lease_key(1)])
        assert held.found.startswith("held by run some-run (")
        assert f" {os.getpid()}) since " in held.found
        released = made(places.lock, healthy)
        assert released.found.startswith("free: last held by run some-run (")
        assert [found.key for found in lake.list("_lease/")] == [lease_key(1)]

    def test_expired(self, lake: ObjectStore, healthy: Examination, tmp_path: Path) -> None:
        terms = {"run_id": "dead", "holder": "who@where 1", "since": "then", "lease_seconds": 60, "released": False}
        lake.write(lease_key(7), json.dumps(terms).encode())
        long_ago = (NOW - timedelta(hours=5)).timestamp()
        os.utime(tmp_path / "lake" / lease_key(7), (long_ago, long_ago))
        found = made(places.lock, healthy)
        assert (found.verdict, found.exit_code) == ("warn", 0)
        assert "expired: run dead (who@where 1) since then" in found.found

    def test_wiped(self, lake: ObjectStore, healthy: Examination, spark: SparkSession) -> None:
        """Leases that were deleted would be given anew, and what is written under them refused."""
        writer = Lake(spark, lake, "UTC", 12)
        writer.create(PENDING_DATE)
        writer.append_rows(PENDING_DATE, [{"business_date": NOW.date(), "since_run": "x"}])
        found = made(places.lock, healthy)
        assert (found.verdict, found.exit_code) == ("FAIL", 4)
        key = lake.uri_of(lease_key(12))
        assert found.remedy.endswith(f'put {{"released": true}} into {key}')
        lake.write(lease_key(12), b'{"released": true}')  # the remedy
        assert made(places.lock, healthy).verdict == "ok"
        with acquire_lease(lake, "next", 600) as lease:
            assert lease.number == 13

    def test_a_lease_that_cannot_be_read(self, lake: ObjectStore, healthy: Examination) -> None:
        lake.write(lease_key(1), b"rubbish")
        found = made(places.lock, healthy)
        assert (found.exit_code, '{"released": true}' in found.remedy) == (4, True)


class TestHost:
    def test_all_faults_of_a_configuration_are_told(self, tmp_path: Path) -> None:
        file = tmp_path / "wrong.toml"
        file.write_text(
            '[lake]\nroot = "x"\ntimezone = "Chicago"\ncolour = 1\n[[feed]]\nname = "symbee"\nprefix = ""\n'
        )
        found = list(doctor.findings(Examination(file), host.configuration))
        assert [finding.exit_code for finding in found] == [2, 2, 2]
        assert found[0].found.endswith("(2 more)")
        told = " ".join(finding.found for finding in found)
        assert all(key in told for key in ("lake.timezone", "lake.colour", "feed[0].archive"))

    def test_a_feed_that_cannot_be_read_yet(self, tmp_path: Path) -> None:
        file = tmp_path / "vonage.toml"
        file.write_text(
            '[lake]\nroot = "x"\ntimezone = "UTC"\n[[feed]]\nname = "vonage"\nprefix = ""\narchive = "archive"\n'
        )
        first, second = doctor.findings(Examination(file), host.configuration)
        assert (first.verdict, first.exit_code, '"vonage"' in first.found) == ("FAIL", 2, True)
        assert second.verdict == "ok"

    def test_this_python_does(self) -> None:
        assert made(host.python, Examination(None)).verdict == "ok"

    def test_the_java_of_this_host_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
        assert made(host.java, Examination(None)).verdict == "ok"

    @pytest.mark.parametrize(
        ("says", "verdict"),
        [
            (None, "FAIL"),
            ('openjdk version "1.8.0_402"', "FAIL"),
            ('openjdk version "11.0.22" 2024-01-16', "FAIL"),
            ('java version "17" 2021-09-14', "ok"),
            ('openjdk version "21.0.2" 2024-01-16', "ok"),
            ('openjdk version "25-ea" 2025-09-16', "warn"),
            ("nonsense", "FAIL"),
        ],
    )
    def test_the_java_that_java_home_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, verdict: str
    ) -> None:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
        if says is not None:
            (tmp_path / "bin").mkdir()
            (tmp_path / "bin" / "java").write_text(f"#!/bin/sh\necho '{says}' >&2\n")
            (tmp_path / "bin" / "java").chmod(0o755)
        found = made(host.java, Examination(None))
        assert (found.verdict, found.exit_code) == (verdict, 1 if verdict == "FAIL" else 0)
        assert str(tmp_path / "bin" / "java") in found.found


class TestEngine:
    @pytest.fixture
    def started(self, spark: SparkSession, healthy: Examination) -> Examination:
        healthy.spark = spark
        return healthy

    def test_spark_is_of_the_version_that_is_needed(
        self, started: Examination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = made(engine.spark, started)
        assert (found.verdict, " on Java 17." in found.found or " on Java 21." in found.found) == ("ok", True)
        monkeypatch.setattr(engine, "SPARK", "4.2")
        found = made(engine.spark, started)
        assert (found.verdict, found.exit_code) == ("FAIL", 1)

    def test_executors_have_the_package(self, started: Examination, monkeypatch: pytest.MonkeyPatch) -> None:
        assert made(engine.executors, started).verdict == "ok"
        monkeypatch.setattr(engine, "__version__", "0.0.1")  # the driver's, not that of the executors
        found = made(engine.executors, started)
        assert (found.verdict, found.exit_code) == ("FAIL", 1)

    def test_a_table_is_made_and_removed(self, started: Examination, tmp_path: Path) -> None:
        (tmp_path / "lake").mkdir()
        assert made(engine.delta, started).found == "4.2.0: a table was made in the lake, merged into and read"
        assert everything_below(tmp_path / "lake") == []
        started.failed.add("lake")
        assert "in a temporary folder" in made(engine.delta, started).found

    def test_a_table_in_a_bucket(self, started: Examination, s3_bucket: Bucket, spark: SparkSession) -> None:
        spark.conf.set("fs.s3a.endpoint", s3_bucket.options.endpoint or "")
        spark.conf.set("fs.s3a.path.style.access", "true")
        spark.conf.set("fs.s3a.endpoint.region", "us-east-1")
        of = examination(f"{s3_bucket.uri}/lake", "archive", s3_bucket.options)
        of.spark = spark
        assert made(engine.delta, of).verdict == "ok"
        assert list(open_store(s3_bucket.uri, s3_bucket.options).list("")) == []

    def test_another_version_of_delta(self, started: Examination, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "_DELTA", "4.0")
        found = made(engine.delta, started)
        assert (found.verdict, found.exit_code) == ("FAIL", 1)

    def test_java_and_python_know_the_same_zones(self, started: Examination) -> None:
        assert made(engine.time_zone, started).found.startswith("America/Chicago: ")
        assert made(engine.time_zone, started).verdict == "ok"

    def test_without_spark_the_rest_is_skipped(self, healthy: Examination) -> None:
        assert made(engine.executors, healthy).verdict == "skip"
        assert made(engine.delta, healthy).verdict == "skip"
        assert made(engine.time_zone, healthy).verdict == "ok"


class TestWhole:
    def report(self, file: Path) -> tuple[int, list[str]]:
        lines: list[str] = []
        return doctor.examine(file, lines.append), lines

    def test_a_wrong_configuration_leaves_the_host_to_be_looked_at(self, tmp_path: Path) -> None:
        file = tmp_path / "wrong.toml"
        file.write_text("[lake]\n")
        code, lines = self.report(file)
        assert code == 2
        words = [line.split()[:2] for line in lines]
        assert ["FAIL", "configuration"] in words
        assert ["ok", "python"] in words
        assert ["skip", "lake"] in words
        assert ["skip", "spark"] in words
        assert "- configuration: it must be given" in lines

    def test_all_faults_are_told_at_once(
        self, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert spark is SparkSession.getActiveSession()
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "no-java"))
        monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
        (tmp_path / "file").write_text("-")
        file = tmp_path / "broken.toml"
        file.write_text(
            f"""
[lake]
root = "{tmp_path / "file"}"
timezone = "America/Chicago"
[[feed]]
name = "symbee"
archive = "{tmp_path / "nowhere"}"
prefix = "interactions/"
[[feed]]
name = "connect_contact"
archive = "{tmp_path}"
prefix = "contacts/"
"""
        )
        before = everything_below(tmp_path)
        code, lines = self.report(file)
        assert code == 4
        verdicts = [tuple(line.split()[:2]) for line in lines[: lines.index("")]]
        assert verdicts == [
            ("ok", "configuration"),
            ("ok", "python"),
            ("FAIL", "java"),
            ("FAIL", "archive"),
            ("FAIL", "archive"),
            ("FAIL", "lake"),
            ("skip", "clock"),
            ("skip", "lock"),
            ("skip", "spark"),
            ("skip", "executors"),
            ("skip", "delta"),
            ("ok", "time"),
        ]
        assert lines[lines.index("") + 1] == "To do:"
        assert len(lines[lines.index("") + 2 :]) == 4
        assert everything_below(tmp_path) == before

    def test_nothing_is_left_of_a_lake_that_is_not_there(self, spark: SparkSession, tmp_path: Path) -> None:
        assert spark is SparkSession.getActiveSession()
        write_objects(tmp_path, {f"archive/interactions/{hour(timedelta())}/a": b"{}"})
        file = tmp_path / "new.toml"
        file.write_text(
            f'[lake]\nroot = "{tmp_path}/deep/lake"\ntimezone = "UTC"\n'
            f'[[feed]]\nname = "symbee"\narchive = "{tmp_path}/archive"\nprefix = "interactions/"\n'
            f'[quality]\ndata_docs = "{tmp_path}/docs"\n'
        )
        before = everything_below(tmp_path)
        code, lines = self.report(file)
        assert (code, lines[-1]) == (0, "Nothing to do.")
        assert {line.split()[0] for line in lines[: lines.index("")]} == {"ok"}
        assert everything_below(tmp_path) == before

    def test_a_defect_of_one_check_keeps_none_of_the_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(_: Examination) -> Iterator[Finding]:
            raise RuntimeError("the power went out")
            yield

        monkeypatch.setattr(doctor, "CHECKS", (("first", fails), ("python", host.python)))
        code, lines = self.report(tmp_path / "none.toml")
        assert code == 1
        assert [line.split()[0] for line in lines[:2]] == ["FAIL", "ok"]
        assert "the power went out" in lines[0]
