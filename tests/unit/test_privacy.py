"""What becomes of customers' identifiers, from the record to the files that the executors lay down."""

import gzip
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contactlake.archive.storage import ObjectStore, S3Options, open_store
from contactlake.landing import MANIFEST, Entry, Landing
from contactlake.privacy import Privacy, pseudonym

KEY = b"a key"
NOW = datetime(2025, 3, 8, tzinfo=UTC)
PHONE, OTHER_PHONE, PERSON, MAIL, SECRET = (
    "+15551234567",
    "+442079460000",
    "John Smith",
    "jsmith@example.com",
    "my PIN is 4711",
)


def hashed(value: str) -> str:
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()


class TestPseudonym:
    def test_is_the_hmac_in_hex(self) -> None:
        assert pseudonym("jsmith@example.com", KEY) == hashed("jsmith@example.com")
        assert len(pseudonym(PERSON, KEY)) == 64

    def test_depends_on_the_key(self) -> None:
        assert pseudonym(PERSON, KEY) != pseudonym(PERSON, b"another key")

    @pytest.mark.parametrize("value", [" John Smith ", "john smith", "JOHN SMITH\n"])
    def test_is_of_the_trimmed_lower_cased_value(self, value: str) -> None:
        assert pseudonym(value, KEY) == hashed("john smith")

    @pytest.mark.parametrize(
        "value",
        [
            *(
                "+15551234567",
                " +1 555 123 4567 ",
                "+1 (555) 123-4567",
                "+1.555.123.4567",
                "+1/555/1234567",
                "(+1) 555 1234567",
            ),
        ],
    )
    def test_of_a_telephone_number_is_of_plus_and_digits_alone(self, value: str) -> None:
        assert pseudonym(value, KEY) == hashed("+15551234567")

    def test_of_a_number_without_plus_is_of_its_digits(self) -> None:
        assert pseudonym("555-1234", KEY) == hashed("5551234")

    @pytest.mark.parametrize(
        "value", ["jsmith+15551234567@example.com", "sip:+1555", "Agent 007", "+1 555 CALL NOW", "-", "+", "( )"]
    )
    def test_of_what_is_no_telephone_number_is_of_all_of_it(self, value: str) -> None:
        assert pseudonym(value, KEY) == hashed(value.lower())

    @settings(max_examples=200)
    @given(st.text(st.sampled_from("+0123456789 ().-/aB\n"), max_size=20))
    def test_of_any_two_writings_of_one_value_is_one(self, value: str) -> None:
        plain = value.strip().lower()
        is_number = any(map(str.isdigit, plain)) and set(plain) <= set("+0123456789 ().-/")
        expected = "".join(character for character in plain if character in "+0123456789") if is_number else plain
        assert pseudonym(value, KEY) == hashed(expected)

    def test_of_very_long_digits_takes_no_longer_than_it_should(self) -> None:
        assert pseudonym("1 " * 500_000 + "x", KEY) == hashed("1 " * 500_000 + "x")


class TestColumns:
    VALUES = pa.array([PHONE, None, " +1 (555) 123-4567", PERSON, PHONE])

    def test_are_dropped(self) -> None:
        dropped = Privacy("drop", b"", ()).column(self.VALUES)
        assert dropped.equals(pa.nulls(5, pa.string()))

    def test_are_kept(self) -> None:
        assert Privacy("keep", b"", ()).column(self.VALUES).equals(self.VALUES)

    def test_are_hashed(self) -> None:
        phone, person = hashed(PHONE), hashed(PERSON.lower())
        assert Privacy("hash", KEY, ()).column(self.VALUES).to_pylist() == [phone, None, phone, person, phone]

    def test_of_nothing_are_nothing(self) -> None:
        for mode in ("drop", "hash", "keep"):
            empty = Privacy(mode, KEY, ()).column(pa.array([], type=pa.string()))
            assert (len(empty), empty.type) == (0, pa.string())


class TestTexts:
    def test_are_dropped_hashed_or_kept(self) -> None:
        assert Privacy("drop", b"", ()).text(PERSON) is None
        assert Privacy("hash", KEY, ()).text(PERSON) == hashed(PERSON.lower())
        assert Privacy("keep", b"", ()).text(PERSON) == PERSON


# --- what is laid down ---

INTERACTION = {
    "ActivityType": "INTERACTION_TRACE_RECORD",
    "TaskId": "good",
    "CompletedTimestamp": "2025-03-07T12:00:00Z",
    "FarEndAddress": PHONE,
    "TransferredToAddress": OTHER_PHONE,
    "NearEndAddress": "+18005550100",
    "MediaLocation": "bucket/ChatTranscripts/2025/03/07/good",
    "Attributes": {"Email": MAIL, "FullName": PERSON, "tier": "gold"},
}
CONTACT = {
    "AWSAccountId": "1",
    "ContactId": "good",
    "InitiationTimestamp": "2025-03-07T12:00:00Z",
    "CustomerEndpoint": {"Address": PHONE},
    "TransferredToEndpoint": {"Address": OTHER_PHONE},
    "SystemEndpoint": {"Address": "+18005550100"},
    "Attributes": {"Email": MAIL, "FullName": PERSON, "tier": "gold"},
}
TRANSCRIPT = {
    "ActivityType": "CHAT_TRANSCRIPT",
    "SessionId": "s",
    "Transcript": [{"Member": PERSON, "Timestamp": "2025-03-07 12:00:00", "Direction": "Inbound", "Message": SECRET}],
}
REFUSED_INTERACTIONS = (
    json.dumps({**INTERACTION, "TaskId": ""}).encode(),
    json.dumps({**INTERACTION, "CompletedTimestamp": PERSON}).encode(),
    json.dumps({**INTERACTION, "ActivityType": PERSON}).encode(),
    json.dumps({**INTERACTION, "WrapDurationInMillis": -5}).encode(),
    json.dumps({**INTERACTION, "WrapDurationInMillis": PHONE}).encode(),
    json.dumps({**INTERACTION, "Username": [PERSON]}).encode(),
    json.dumps(INTERACTION).encode().replace(b"John", b"John\xff"),
    json.dumps(INTERACTION).encode().replace(b"John", rb"John\ud800"),
    json.dumps(INTERACTION).encode().replace(b"John", rb"John\x"),
    json.dumps(INTERACTION).encode().replace(b"Smith", b"Smith\0"),
    json.dumps(INTERACTION).encode()[:-31],
)
REFUSED_TRANSCRIPTS = (
    json.dumps({**TRANSCRIPT, "Transcript": [*TRANSCRIPT["Transcript"], {"Message": [SECRET]}]}).encode(),
    json.dumps(TRANSCRIPT).encode()[:-3],
    json.dumps({**TRANSCRIPT, "ActivityType": SECRET}).encode(),
)
IDENTIFYING = (PHONE, OTHER_PHONE, "John", "Smith", MAIL, SECRET, "gold")


FEED_OF = {"interactions": "symbee", "corrupt": "symbee", "contacts": "connect_contact"}
FEEDS = ("symbee", "connect_contact", "symbee_transcript")


@dataclass
class Laid:
    """What a landing left: the manifest, and the rows by table."""

    manifest: list[dict[str, Any]]
    rows: dict[str, list[dict[str, Any]]]

    def refused(self, key: str) -> list[dict[str, Any]]:
        """The refused records of the objects whose keys begin with `key`, in their order."""
        rows = [row for row in self.rows["ops/quarantine"] if row["object"].rpartition("/")[2].startswith(key)]
        return sorted(rows, key=lambda row: (row["object"], row["ordinal"]))


@pytest.fixture
def archive(tmp_path: Path) -> ObjectStore:
    (tmp_path / "archive").mkdir()
    store = open_store(str(tmp_path / "archive"), S3Options())
    delimited = b"\n".join([json.dumps(INTERACTION).encode(), *REFUSED_INTERACTIONS])
    store.write("interactions", gzip.compress(delimited))
    store.write("contacts", json.dumps(CONTACT).encode() + json.dumps({**CONTACT, "ContactId": None}).encode())
    store.write("transcript", json.dumps(TRANSCRIPT).encode())
    for number, text in enumerate(REFUSED_TRANSCRIPTS):
        store.write(f"transcript-{number}", text)
    store.write("corrupt", gzip.compress(delimited)[:-5])
    return store


def land(
    archive: ObjectStore,
    mode: str,
    keep: tuple[str, ...] = (),
    keys: Sequence[str] = (),
    limit: int = 1 << 30,
    feed: str = "",
) -> Laid:
    """Lands the objects at `keys`, or all, as those of `feed`, or of what their names say."""
    lake = open_store(archive.uri + f"-lake-{mode}", S3Options())
    landing = Landing(
        entries=tuple(Entry(name, archive, "abccompany/prod") for name in FEEDS),
        lake=lake,
        folder="landing",
        adopting={},
        privacy=Privacy(mode, KEY if mode == "hash" else b"", keep),
        max_decompressed_bytes=limit,
        run_id="run",
        as_of=NOW,
    )
    objects = [
        {
            "entry": FEEDS.index(feed or FEED_OF.get(key, "symbee_transcript")),
            "key": key,
            "size": info.size if (info := archive.head(key)) else 0,
            "etag": info.etag if info else "none",
            "arrival_at": NOW,
            "modified_at": NOW,
        }
        for key in keys or [info.key for info in archive.list("")]
    ]
    batches = list(landing(iter([pa.RecordBatch.from_pylist(objects)])))
    assert all(batch.schema.equals(MANIFEST) for batch in batches)
    manifest = [row for batch in batches for row in batch.to_pylist()]
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in manifest:
        if row["status"] == "FILE":
            table = pq.read_table(f"{lake.uri}/{row['file']}")
            assert table.num_rows == row["records"]
            rows.setdefault(row["table"], []).extend(table.to_pylist())
    return Laid(manifest, rows)


class TestDropped:
    def test_nothing_identifying_is_laid_down(self, archive: ObjectStore) -> None:
        laid = land(archive, "drop")
        assert laid.rows.keys() == {
            *("silver/symbee_interaction", "silver/connect_contact", "silver/symbee_transcript", "ops/quarantine"),
        }
        everything = json.dumps([laid.rows, laid.manifest], default=str, ensure_ascii=False)
        for identifying in IDENTIFYING:
            assert identifying not in everything

    def test_what_identifies_nobody_is_kept(self, archive: ObjectStore) -> None:
        laid = land(archive, "drop")
        (interaction,) = laid.rows["silver/symbee_interaction"]
        assert interaction["is_transferred_out"] is True
        assert interaction["near_end_address"] == "+18005550100"
        assert interaction["media_location"] == "bucket/ChatTranscripts/2025/03/07/good"
        assert laid.rows["silver/connect_contact"][0]["system_endpoint"] == "+18005550100"
        assert laid.rows["silver/symbee_transcript"][0]["messages"][0]["length"] == len(SECRET)

    def test_details_name_fields_and_faults_alone(self, archive: ObjectStore) -> None:
        details = [(row["reason"], row["detail"]) for row in land(archive, "drop").refused("symbee")]
        assert (
            details[:-1]
            == [
                ("MISSING_VALUE", "TaskId"),
                ("BAD_VALUE", "CompletedTimestamp"),
                ("UNKNOWN_TYPE", "ActivityType"),
                ("NEGATIVE_DURATION", "WrapDurationInMillis"),
                ("BAD_VALUE", "WrapDurationInMillis"),
                ("BAD_VALUE", "Username"),
                ("UNDECODABLE", "not UTF-8"),
                ("UNDECODABLE", "a lone surrogate"),
                ("UNDECODABLE", "not JSON: Invalid \\escape"),
                ("UNDECODABLE", "not JSON: Expecting ',' delimiter"),
                ("NOT_AN_OBJECT", "a scalar"),
            ]
            or sorted(details) == details
        )


class TestKept:
    def test_identifiers_are_as_they_were(self, archive: ObjectStore) -> None:
        laid = land(archive, "keep", ("tier", "Email"))
        (interaction,) = laid.rows["silver/symbee_interaction"]
        assert (interaction["far_end_address"], interaction["transferred_to_address"]) == (PHONE, OTHER_PHONE)
        assert dict(interaction["attributes"]) == {"tier": "gold", "Email": MAIL}
        (contact,) = laid.rows["silver/connect_contact"]
        assert (contact["customer_endpoint"], contact["transferred_to_endpoint"]) == (PHONE, OTHER_PHONE)

    def test_refused_text_is_as_it_was(self, archive: ObjectStore) -> None:
        raws = [row["raw"] for row in land(archive, "keep").refused("interactions")]
        for raw, text in zip(raws, REFUSED_INTERACTIONS, strict=True):
            assert raw.strip() == text.decode("utf-8", "backslashreplace")

    def test_messages_are_not(self, archive: ObjectStore) -> None:
        laid = land(archive, "keep")
        assert [row["raw"] for row in laid.refused("transcript")] == [None] * 3
        assert SECRET not in json.dumps([laid.rows, laid.manifest], default=str)


class TestHashed:
    def test_identifiers_are_pseudonyms_the_same_in_every_feed(self, archive: ObjectStore) -> None:
        laid = land(archive, "hash")
        (interaction,) = laid.rows["silver/symbee_interaction"]
        (contact,) = laid.rows["silver/connect_contact"]
        assert interaction["far_end_address"] == contact["customer_endpoint"] == hashed(PHONE)
        assert interaction["transferred_to_address"] == contact["transferred_to_endpoint"] == hashed(OTHER_PHONE)

    def test_refused_text_is_a_pseudonym(self, archive: ObjectStore) -> None:
        laid = land(archive, "hash")
        raws = [row["raw"] for row in laid.rows["ops/quarantine"] if row["ordinal"] >= 0]
        assert len(raws) == 15
        assert all(len(raw) == 64 for raw in raws)
        assert hashed(REFUSED_INTERACTIONS[0].decode().strip().lower()) in raws
        everything = json.dumps([laid.rows, laid.manifest], default=str, ensure_ascii=False)
        for identifying in IDENTIFYING:
            assert identifying not in everything


class TestManifest:
    def test_counts_every_record_of_an_object(self, archive: ObjectStore) -> None:
        laid = land(archive, "drop", keys=["interactions"])
        (read,) = (row for row in laid.manifest if row["status"] == "READ")
        assert (read["key"], read["records"], read["quarantined"]) == ("interactions", 12, 11)
        counts = {
            row["record_type"]: (row["records"], row["quarantined"])
            for row in laid.manifest
            if row["status"] == "COUNT"
        }
        assert counts == {"INTERACTION_TRACE_RECORD": (6, 5), "(unknown)": (6, 6)}

    @pytest.mark.parametrize(
        ("key", "limit", "detail"),
        [("corrupt", 1 << 30, "corrupt gzip"), ("interactions", 100, "larger than max_decompressed_bytes")],
    )
    def test_an_object_that_cannot_be_read_is_one_refused_record(
        self, archive: ObjectStore, key: str, limit: int, detail: str
    ) -> None:
        laid = land(archive, "keep", keys=[key], limit=limit)
        assert laid.rows.keys() == {"ops/quarantine"}
        (refused,) = laid.refused(key)
        content = archive.read(key)
        expected: Mapping[str, Any] = {
            "ordinal": -1,
            "record_type": None,
            "reason": "UNREADABLE_OBJECT",
            "raw": None,
            "record_sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
        assert {name: refused[name] for name in expected} == expected
        assert refused["detail"].startswith(detail)
        assert [
            (row["status"], row["records"], row["quarantined"]) for row in laid.manifest if row["status"] != "FILE"
        ] == [
            ("READ", 1, 1),
            ("COUNT", 1, 1),
        ]

    def test_an_object_that_vanished_is_said_to_have(self, archive: ObjectStore) -> None:
        laid = land(archive, "drop", keys=["transcript-9"])
        assert [row["status"] for row in laid.manifest] == ["VANISHED"]
        assert laid.rows == {}
