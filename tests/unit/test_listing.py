"""Which objects are listed, which of them are data, and when each arrived."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contactlake.archive.listing import Listing, Place, Window, list_place
from contactlake.archive.storage import ObjectInfo, ObjectStore, S3Options, open_store

HOURLY, DAILY = "%Y/%m/%d/%H/", "%Y/%m/%d/"
NAME = "sc-1-2025-03-07-13-41-46-6f9ae681"
LATEST = datetime(2030, 1, 1, tzinfo=UTC)
EVERYTHING = Window(None, LATEST)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    (tmp_path / "archive").mkdir()
    return open_store(str(tmp_path / "archive"), S3Options())


def put(store: ObjectStore, *keys: str, content: bytes = b"{}") -> None:
    for key in keys:
        store.write(key, content)


def keys(listing: Listing) -> list[str]:
    return [item.key for item in listing.objects]


class CountingStore:
    """A store that remembers which prefixes were listed."""

    def __init__(self, objects: Mapping[str, int]) -> None:
        self.objects = objects
        self.listed: list[str] = []

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.listed.append(prefix)
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield ObjectInfo(key, self.objects[key], "etag", LATEST)

    def list_many(self, prefixes: Iterable[str]) -> Iterator[ObjectInfo]:
        for prefix in prefixes:
            yield from self.list(prefix)


def listed_prefixes(place: Place, start: str, end: str) -> list[str]:
    counting = CountingStore({})
    list_place(counting, place, Window(utc(start), utc(end)))  # type: ignore[arg-type]
    return counting.listed


class TestPrefixes:
    @pytest.mark.parametrize("prefix", ["", "interactions/", "connectCtrAcme", "a/b c/d+", "with.dots(and)[signs]"])
    def test_are_taken_verbatim(self, store: ObjectStore, prefix: str) -> None:
        put(store, f"{prefix}2025/03/07/13/{NAME}", f"x{prefix}2025/03/07/13/{NAME}")
        listing = list_place(store, Place(prefix, HOURLY, "UTC"), EVERYTHING)
        assert keys(listing) == [f"{prefix}2025/03/07/13/{NAME}"]

    def test_need_not_end_in_a_slash(self, store: ObjectStore) -> None:
        put(store, "ctr2025/03/07/13/a", "ctr/2025/03/07/13/b")
        assert keys(list_place(store, Place("ctr", HOURLY, "UTC"), EVERYTHING)) == ["ctr2025/03/07/13/a"]
        assert keys(list_place(store, Place("ctr/", HOURLY, "UTC"), EVERYTHING)) == ["ctr/2025/03/07/13/b"]

    @pytest.mark.parametrize(
        ("shorter", "longer"), [("ctr", "ctr2"), ("ctr", "ctrEurope"), ("ctr", "ctr-"), ("ctr", "ctr/")]
    )
    @pytest.mark.parametrize("window", [EVERYTHING, Window(utc("2025-03-07T00:00:00"), LATEST)])
    def test_that_begin_with_another_are_told_apart(
        self, store: ObjectStore, shorter: str, longer: str, window: Window
    ) -> None:
        put(store, f"{shorter}2025/03/07/13/a", f"{longer}2025/03/07/13/b")
        assert keys(list_place(store, Place(shorter, HOURLY, "UTC"), window)) == [f"{shorter}2025/03/07/13/a"]
        assert keys(list_place(store, Place(longer, HOURLY, "UTC"), window)) == [f"{longer}2025/03/07/13/b"]

    def test_may_hold_nothing(self, store: ObjectStore) -> None:
        assert list_place(store, Place("nothing/", HOURLY, "UTC"), EVERYTHING) == Listing()


class TestLayouts:
    def test_by_the_hour_give_the_hour(self, store: ObjectStore) -> None:
        put(store, f"p/2025/03/07/13/{NAME}")
        (item,) = list_place(store, Place("p/", HOURLY, "UTC"), EVERYTHING).objects
        assert item.arrival_at == utc("2025-03-07T13:00:00")
        assert (item.key, item.size) == (f"p/2025/03/07/13/{NAME}", 2)
        info = store.head(item.key)
        assert info is not None
        assert (item.etag, item.modified_at) == (info.etag, info.modified_at)

    def test_by_the_hour_do_not_ask_the_name(self, store: ObjectStore) -> None:
        put(store, "p/2025/03/07/13/sc-1-2024-12-31-23-59-59-uuid.gz", "p/2025/03/07/13/anything at all")
        listing = list_place(store, Place("p/", HOURLY, "UTC"), EVERYTHING)
        assert {item.arrival_at for item in listing.objects} == {utc("2025-03-07T13:00:00")}
        assert len(listing.objects) == 2

    def test_by_the_day_give_the_day(self, store: ObjectStore) -> None:
        put(store, "ChatTranscripts/2025/03/07/6f9ae681", "ChatTranscripts/2025/03/07/sub/6f9ae681")
        listing = list_place(store, Place("ChatTranscripts/", DAILY, "UTC"), EVERYTHING)
        assert [item.arrival_at for item in listing.objects] == [utc("2025-03-07T00:00:00")] * 2

    def test_that_are_empty_list_everything_and_give_the_modification(self, store: ObjectStore) -> None:
        put(store, "p/a", "p/b/c", "p/2025/03/07/13/d", "q/e")
        window = Window(utc("2025-03-07T00:00:00"), utc("2025-03-07T01:00:00"))
        listing = list_place(store, Place("p/", "", "UTC"), window)
        assert keys(listing) == ["p/2025/03/07/13/d", "p/a", "p/b/c"]
        assert all(item.arrival_at == item.modified_at for item in listing.objects)

    def test_may_be_of_another_form(self, store: ObjectStore) -> None:
        put(store, "p/year=2025/month=03/day=07/a", "p/2025-03-07T13.b")
        hive = list_place(store, Place("p/", "year=%Y/month=%m/day=%d/", "UTC"), EVERYTHING)
        assert [(item.key[-1], item.arrival_at) for item in hive.objects] == [("a", utc("2025-03-07T00:00:00"))]
        flat = list_place(store, Place("p/", "%Y-%m-%dT%H.", "UTC"), EVERYTHING)
        assert [(item.key[-1], item.arrival_at) for item in flat.objects] == [("b", utc("2025-03-07T13:00:00"))]

    @pytest.mark.parametrize(
        "path",
        [
            *("2025/13/07/13", "2025/00/07/13", "2025/02/29/13", "2025/03/32/13", "2025/03/07/24", "0000/03/07/13"),
            *(
                "2025/3/7/13",
                "25/03/07/13",
                "2025/03/07",
                "2025/03/07/1a",
                "٢٠٢٥/03/07/13",
                "x/2025/03/07/13",
                "2025-03-07/13",
            ),
        ],
    )
    def test_that_a_path_does_not_follow_are_counted(self, store: ObjectStore, path: str) -> None:
        put(store, f"p/{path}/{NAME}", f"p/2025/03/07/13/{NAME}")
        listing = list_place(store, Place("p/", HOURLY, "UTC"), EVERYTHING)
        assert keys(listing) == [f"p/2025/03/07/13/{NAME}"]
        assert listing.skipped == {"not in the layout": 1}


class TestWindow:
    @pytest.mark.parametrize(
        ("start", "end", "hours"),
        [
            ("2025-03-07T13:00:00", "2025-03-07T13:00:00", ["13"]),
            ("2025-03-07T13:59:59", "2025-03-07T14:00:00", ["13", "14"]),
            ("2025-03-07T13:30:00", "2025-03-07T13:31:00", ["13"]),
            ("2025-03-07T12:00:00", "2025-03-07T15:59:59", ["12", "13", "14", "15"]),
        ],
    )
    def test_lists_its_hours_alone(self, start: str, end: str, hours: list[str]) -> None:
        assert listed_prefixes(Place("p", HOURLY, "UTC"), start, end) == [f"p2025/03/07/{hour}/" for hour in hours]

    def test_lists_its_days_alone(self) -> None:
        listed = listed_prefixes(Place("t/", DAILY, "UTC"), "2025-02-27T13:00:00", "2025-03-02T00:00:00")
        assert listed == [f"t/2025/{day}/" for day in ("02/27", "02/28", "03/01", "03/02")]

    def test_lists_its_months_alone(self) -> None:
        listed = listed_prefixes(Place("t/", "%Y/%m/", "UTC"), "2024-11-30T13:00:00", "2025-02-01T00:00:00")
        assert listed == [f"t/{month}/" for month in ("2024/11", "2024/12", "2025/01", "2025/02")]

    def test_that_is_open_lists_the_prefix_once(self) -> None:
        counting = CountingStore({"p/2025/03/07/13/a": 1, "p/1999/01/01/00/b": 1})
        listing = list_place(counting, Place("p/", HOURLY, "UTC"), EVERYTHING)  # type: ignore[arg-type]
        assert counting.listed == ["p/"]
        assert len(listing.objects) == 2

    def test_leaves_out_what_arrived_behind_its_end(self, store: ObjectStore) -> None:
        put(store, *(f"p/2025/03/07/{hour:02}/a" for hour in range(24)))
        end = utc("2025-03-07T13:30:00")
        everything = keys(list_place(store, Place("p/", HOURLY, "UTC"), Window(None, end)))
        assert everything == [f"p/2025/03/07/{hour:02}/a" for hour in range(14)]
        some = keys(list_place(store, Place("p/", HOURLY, "UTC"), Window(utc("2025-03-07T11:30:00"), end)))
        assert some == [f"p/2025/03/07/{hour:02}/a" for hour in (11, 12, 13)]

    def test_keeps_what_was_modified_later(self, store: ObjectStore) -> None:
        """Only the hour in the path counts: these objects are written now."""
        put(store, "p/2025/03/07/13/a")
        window = Window(utc("2025-03-07T13:00:00"), utc("2025-03-07T14:00:00"))
        assert keys(list_place(store, Place("p/", HOURLY, "UTC"), window)) == ["p/2025/03/07/13/a"]


class TestArrivalTimeZones:
    @pytest.mark.parametrize(
        ("zone", "hour", "arrival"),
        [
            ("UTC", "2025/03/07/13", "2025-03-07T13:00:00"),
            ("America/Chicago", "2025/03/07/13", "2025-03-07T19:00:00"),
            ("America/Chicago", "2025/07/07/13", "2025-07-07T18:00:00"),
            ("Asia/Kolkata", "2025/03/07/13", "2025-03-07T07:30:00"),
            ("Pacific/Auckland", "2025/01/01/00", "2024-12-31T11:00:00"),
            # The hour that comes twice is the first of the two, the one that never comes is the next.
            ("America/Chicago", "2025/11/02/01", "2025-11-02T06:00:00"),
            ("America/Chicago", "2025/03/09/02", "2025-03-09T08:00:00"),
        ],
    )
    def test_are_of_the_hours_in_the_path(self, store: ObjectStore, zone: str, hour: str, arrival: str) -> None:
        put(store, f"p/{hour}/a")
        (item,) = list_place(store, Place("p/", HOURLY, zone), EVERYTHING).objects
        assert item.arrival_at == utc(arrival)

    def test_list_local_hours(self) -> None:
        place = Place("p/", HOURLY, "America/Chicago")
        assert listed_prefixes(place, "2025-03-07T05:30:00", "2025-03-07T06:10:00") == [
            "p/2025/03/06/23/",
            "p/2025/03/07/00/",
        ]

    def test_list_the_hour_that_comes_twice_once(self) -> None:
        place = Place("p/", HOURLY, "America/Chicago")
        listed = listed_prefixes(place, "2025-11-02T05:00:00", "2025-11-02T08:00:00")
        assert listed == ["p/2025/11/02/00/", "p/2025/11/02/01/", "p/2025/11/02/02/"]

    @pytest.mark.parametrize("start", ["2025-11-02T06:30:00", "2025-11-02T07:00:00", "2025-11-02T07:59:00"])
    def test_find_what_arrived_in_the_second_of_two_equal_hours(self, store: ObjectStore, start: str) -> None:
        put(store, "p/2025/11/02/01/a")
        window = Window(utc(start), utc("2025-11-02T12:00:00"))
        assert keys(list_place(store, Place("p/", HOURLY, "America/Chicago"), window)) == ["p/2025/11/02/01/a"]

    @settings(max_examples=150, deadline=None)
    @given(
        zone=st.sampled_from(["UTC", "America/Chicago", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]),
        layout=st.sampled_from([HOURLY, DAILY, "%Y/%m/", "%Y/"]),
        start=st.integers(0, 14 * 365 * 86_400).map(
            lambda seconds: utc("2011-12-01T00:00:00") + timedelta(seconds=seconds)
        ),
        hours=st.integers(0, 100),
        at=st.floats(0, 1),
    )
    def test_whatever_arrives_in_the_window_is_found(
        self, zone: str, layout: str, start: datetime, hours: int, at: float
    ) -> None:
        end = start + timedelta(hours=hours)
        arrived = start + at * (end - start)
        key = "p/" + arrived.astimezone(ZoneInfo(zone)).strftime(layout) + "a"
        counting = CountingStore({key: 1, "p/2010/01/01/00/a": 1})
        listing = list_place(counting, Place("p/", layout, zone), Window(start, end))  # type: ignore[arg-type]
        assert keys(listing) == [key]
        assert listing.objects[0].arrival_at <= arrived
        assert len(counting.listed) == len(set(counting.listed)) <= hours + 2


class TestWhatIsSkipped:
    @pytest.mark.parametrize(
        ("key", "reason"),
        [
            ("p/processing-failed/2025/03/07/13/a", "Firehose's error output"),
            ("p/format-conversion-failed/2025/03/07/13/a", "Firehose's error output"),
            ("p/x/http-endpoint-failed/2025/03/07/13/a", "Firehose's error output"),
            ("p/2025/03/07/13/x-failed/a", "Firehose's error output"),
            ("p/2025/03/07/13/_SUCCESS", "hidden or a marker"),
            ("p/2025/03/07/13/.hidden", "hidden or a marker"),
            ("p/2025/03/07/13/_temporary/0/a", "hidden or a marker"),
            ("p/_SUCCESS", "hidden or a marker"),
            ("p/2025/03/07/13/empty", "empty"),
            ("p/2025/03/07/empty", "empty"),
            ("p/README", "not in the layout"),
        ],
    )
    def test_is_counted(self, store: ObjectStore, key: str, reason: str) -> None:
        put(store, key, content=b"" if key.endswith("empty") else b"{}")
        put(store, "p/2025/03/07/13/a-failed", "p/2025/03/07/13/under_score.and.dots")
        for layout in (HOURLY, "") if reason != "not in the layout" else (HOURLY,):
            listing = list_place(store, Place("p/", layout, "UTC"), EVERYTHING)
            assert keys(listing) == ["p/2025/03/07/13/a-failed", "p/2025/03/07/13/under_score.and.dots"]
            assert listing.skipped == {reason: 1}

    def test_is_counted_behind_a_prefix_without_slash(self, store: ObjectStore) -> None:
        put(store, "connectCtrAcme2025/03/07/13/a", "connectCtrAcmeprocessing-failed/2025/03/07/13/b")
        listing = list_place(store, Place("connectCtrAcme", HOURLY, "UTC"), EVERYTHING)
        assert keys(listing) == ["connectCtrAcme2025/03/07/13/a"]
        assert listing.skipped == {"Firehose's error output": 1}

    def test_is_not_what_the_prefix_itself_is_called(self, store: ObjectStore) -> None:
        put(store, "_raw/x-failed/2025/03/07/13/a")
        place = Place("_raw/x-failed/", HOURLY, "UTC")
        assert keys(list_place(store, place, EVERYTHING)) == ["_raw/x-failed/2025/03/07/13/a"]

    def test_are_the_folders_that_consoles_make(self) -> None:
        counting = CountingStore({"p/2025/03/07/13/": 0, "p/2025/": 0, "p/2025/03/07/13/a": 1})
        listing = list_place(counting, Place("p/", HOURLY, "UTC"), EVERYTHING)  # type: ignore[arg-type]
        assert keys(listing) == ["p/2025/03/07/13/a"]
        assert listing.skipped == {"a folder": 2}

    def test_adds_up(self, store: ObjectStore) -> None:
        put(store, "p/2025/03/07/13/a", "p/2025/03/07/13/_b", "p/2025/03/07/13/.c", "p/x-failed/d", "p/e")
        listing = list_place(store, Place("p/", HOURLY, "UTC"), EVERYTHING)
        assert listing.skipped == {"hidden or a marker": 2, "Firehose's error output": 1, "not in the layout": 1}
        assert len(listing.objects) == 1
