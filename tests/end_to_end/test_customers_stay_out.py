"""Recognisable customers in every field of every feed, whole and malformed: where they are found afterwards."""

import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.centre import HOUR, Centre
from tests.commands import surroundings
from tests.conftest import REPOSITORY
from tests.lake_bytes import columns_with, objects_with
from tests.records import contact, interaction, text, work_code

from contactlake.archive.storage import S3Options, open_store
from contactlake.config import PSEUDONYM_KEY_VARIABLE
from contactlake.privacy import pseudonym

KEY = "a key of the tests"
SECTIONS: dict[str, Any] = {"quality": {"max_quarantined_share": 1.0}}
ADDRESSES = {
    ("silver/symbee_interaction", "far_end_address"): "+19995550001",
    ("silver/symbee_interaction", "transferred_to_address"): "+19995550002",
    ("silver/connect_contact", "customer_endpoint"): "+19995550003",
    ("silver/connect_contact", "transferred_to_endpoint"): "+19995550004",
}
FAR, TRANSFERRED, ENDPOINT, TRANSFERRED_ENDPOINT = ADDRESSES.values()
KEPT = "kept-attribute-0005"
NEVER = ("SecretKey0006", "secret-value-0007", "Member-Zero0008", "message-zero0009", "field-zero0010")
REFUSED = [f"refused-{number:04}" for number in range(11)]


def interactions(version: str) -> list[dict[str, Any]]:
    return [
        interaction(
            FarEndAddress=FAR,
            TransferredToAddress=TRANSFERRED,
            CompletedTimestamp=f"2025-03-04T17:0{version}:00Z",
            MediaLocation="sc/ChatTranscripts/2025/03/04/chat",
            Attributes={"Kept": KEPT, NEVER[0]: NEVER[1]},
            CustomerName=NEVER[4],
        )
    ]


def contacts(version: str) -> list[dict[str, Any]]:
    return [
        contact(
            CustomerEndpoint={"Address": ENDPOINT, "Type": NEVER[4]},
            TransferredToEndpoint={"Address": TRANSFERRED_ENDPOINT},
            LastUpdateTimestamp=f"2025-03-04T18:0{version}:00Z",
            Attributes={"Kept": KEPT, NEVER[0]: NEVER[1]},
            References=[{"Name": NEVER[4], "Value": FAR}],
        )
    ]


def malformed_symbee() -> bytes:
    def bad(number: int, **changes: Any) -> bytes:
        seeded = {"FarEndAddress": REFUSED[number], "Attributes": {"Kept": REFUSED[number]}}
        return text([interaction(**{**seeded, **changes})])

    return b"\n".join(
        [
            bad(0, TaskId=""),
            bad(1, CompletedTimestamp=REFUSED[1]),
            bad(2, WrapDurationInMillis=REFUSED[2]),
            bad(3, WrapDurationInMillis=-1),
            bad(4, ActivityType=REFUSED[4]),
            bad(5, Attributes=REFUSED[5]),
            bad(6, TaskType={"x": REFUSED[6]}),
            b'{"ActivityType":"INTERACTION_TRACE_RECORD","FarEndAddress":"' + REFUSED[7].encode() + b'\xff"}',
            b'{"ActivityType":"INTERACTION_TRACE_RECORD","FarEndAddress":"' + REFUSED[8].encode() + b'\\q"}',
            b'{"ActivityType":"INTERACTION_TRACE_RECORD","TaskId":"","TaskId":null,"a":"' + REFUSED[9].encode() + b'"}',
            bad(10)[:-1],  # cut short, and the last
        ]
    )


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("records", content)
    return buffer.getvalue()


def arrive(centre: Centre, version: str) -> None:
    """Everything, or, the second time, later versions of it."""
    name = f"{HOUR}/v{version}"
    said = [{"Member": NEVER[2], "Timestamp": "2025-03-04 17:00:30", "Direction": "Inbound", "Message": NEVER[3]}]
    transcript = {"ActivityType": "CHAT_TRANSCRIPT", "SessionId": "s", "Transcript": said}
    not_a_list = {**transcript, "Transcript": NEVER[3], "Members": NEVER[2]}
    centre.arrives(
        {
            f"symbee/interactions/{name}": gzip.compress(text(interactions(version))),
            f"symbee/interactions/{name}-bad": zipped(malformed_symbee()),
            f"symbee/interactions/{name}-corrupt": gzip.compress(text(interactions(version)))[:-9],
            f"symbee/workcodes/{name}": text([work_code(CustomerName=NEVER[4])]),
            f"connect/connectCtrAcme{name}": zipped(text(contacts(version))),
            f"connect/connectCtrAcme{name}-bad": text([contact(ContactId=None, CustomerEndpoint=REFUSED[0])]),
            "symbee/ChatTranscripts/2025/03/04/chat": gzip.compress(text([transcript])),
            f"symbee/ChatTranscripts/2025/03/04/bad-{version}": text([not_a_list]) + text([transcript])[:-1],
        }
    )


def toml(centre: Centre, mode: str) -> str:
    file = centre.root / "contactlake.toml"
    feeds = "".join(
        f'[[feed]]\nname = "{name}"\narchive = "{centre.root / place}"\nprefix = "{prefix}"\n'
        for name, place, prefix in (
            ("symbee", "symbee", "interactions/"),
            ("symbee", "symbee", "workcodes/"),
            ("symbee_transcript", "symbee", "ChatTranscripts/"),
            ("connect_contact", "connect", "connectCtrAcme"),
        )
    )
    file.write_text(
        f'[lake]\nroot = "{centre.root / "lake"}"\ntimezone = "America/Chicago"\n{feeds}'
        f'[privacy]\ncustomer_identifiers = "{mode}"\nattributes_keep = ["Kept"]\n'
        "[quality]\nmax_quarantined_share = 1.0\n"
    )
    return str(file)


@pytest.mark.parametrize("mode", ["drop", "hash", "keep"])
def test_customers_are_found_where_the_mode_says_and_nowhere_else(
    spark: SparkSession, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, KEY)
    centre = Centre(spark, tmp_path)
    arrive(centre, "6")
    sections = {"privacy": {"customer_identifiers": mode, "attributes_keep": ["Kept"]}, **SECTIONS}
    summary = centre.run("2025-03-05T00:00:00Z", sections=sections, with_transcripts=True)
    assert (summary.records, summary.quarantined) == (19, 15)
    arrive(centre, "7")
    events = tmp_path / "events"
    events.mkdir()
    conf = f"--conf spark.jars.ivySettings={REPOSITORY / 'conf' / 'ivysettings.xml'}"
    conf += " --conf spark.eventLog.enabled=true --conf spark.eventLog.compress=false"
    conf += f" --conf spark.eventLog.dir=file://{events} pyspark-shell"
    file = toml(centre, mode)
    done = subprocess.run(
        [sys.executable, "-m", "contactlake.cli", "daily", "--config", file, "--as-of", "2025-03-06T00:00:00Z"],
        env=surroundings(PYSPARK_SUBMIT_ARGS=conf, CONTACTLAKE_PSEUDONYM_KEY=KEY),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["updated"] >= 2
    logged = done.stdout + done.stderr
    logged += "".join(file.read_text() for file in events.rglob("events_*"))
    assert "SparkListenerApplicationStart" in logged

    everybody = [*ADDRESSES.values(), KEPT, *NEVER, *REFUSED, KEY]
    pseudonyms = {place: pseudonym(address, KEY.encode()) for place, address in ADDRESSES.items()}
    assert [value for value in [*everybody, *pseudonyms.values()] if value.lower() in logged.lower()] == []
    store = open_store(str(centre.root / "lake"), S3Options())
    assert objects_with(store, *NEVER, KEY) == set()
    for place, address in ADDRESSES.items():
        assert columns_with(store, address) == ({place} if mode == "keep" else set())
        assert columns_with(store, pseudonyms[place]) == ({place} if mode == "hash" else set())
        found = {table for table, _ in objects_with(store, address, pseudonyms[place])}
        assert found == (set() if mode == "drop" else {place[0]})
    for refused in REFUSED:
        assert columns_with(store, refused) == ({("ops/quarantine", "raw")} if mode == "keep" else set())
        assert {table for table, _ in objects_with(store, refused)} == ({"ops/quarantine"} if mode == "keep" else set())
    assert columns_with(store, KEPT) == {
        ("silver/symbee_interaction", "attributes"),
        ("silver/connect_contact", "attributes"),
    }
    for info in store.list(""):  # what Delta keeps beside the rows
        if "/_delta_log/" in info.key or info.key.startswith("data_docs/"):
            assert KEPT.encode() not in store.read(info.key), info.key
