"""A customer who is to be forgotten: nothing of them is left, nothing comes back, everybody else is as before."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.centre import HOUR, Centre
from tests.lake_bytes import columns_with, objects_with
from tests.lakes import Reader, configuration, run
from tests.records import contact, contact_object, interaction, interaction_object, text
from tests.s3_server import Bucket

from contactlake import cli, tenure
from contactlake.archive.storage import open_store
from contactlake.config import PSEUDONYM_KEY_VARIABLE
from contactlake.errors import ConfigurationError, StorageError
from contactlake.forget import forget, mentions
from contactlake.privacy import pseudonym
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_INTERACTION
from contactlake.tables.gold import GOLD_TABLES
from contactlake.tables.ops import QUARANTINE, RUN

KEY = "a key of the tests"
PHONE, SPELLED, MAIL, NAME = "+15550100123", " +1 (555) 010-0123", "ann@example.org", "Ann Other"
OTHER, OTHER_MAIL = "+15550100777", "bob@example.org"
THEIRS = ("5550100123", "010-0123", MAIL, NAME)
KEPT = {"privacy": {"customer_identifiers": "keep", "attributes_keep": ["Email", "Name"]}}


@pytest.fixture
def centre(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Centre:
    monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, KEY)
    return Centre(spark, tmp_path)


def forgets(centre: Centre, *customers: str, sections: Any = KEPT) -> dict[str, Any]:
    return forget(centre.settings(**sections), customers, lambda _: None)


def hers(**changes: Any) -> dict[str, Any]:
    return interaction(Attributes={"Email": MAIL, "Name": NAME}, **changes)


def her_contact(**changes: Any) -> dict[str, Any]:
    return contact(
        CustomerEndpoint={"Address": SPELLED, "Type": "TELEPHONE_NUMBER"}, Attributes={"Name": NAME}, **changes
    )


def interactions() -> list[dict[str, Any]]:
    other = {"TaskId": "task-2", "GatewayTaskId": "contact-2", "FarEndAddress": OTHER}
    return [
        hers(),
        hers(TaskId="task-3", FarEndAddress="", TransferredToAddress=OTHER),  # hers by its contact alone
        interaction(**other, Attributes={"Email": OTHER_MAIL, "Name": "Bob"}),
    ]


def malformed() -> bytes:
    told = [hers(CompletedTimestamp="no time"), interaction(FarEndAddress=SPELLED, TaskId="")]
    other = interaction(CompletedTimestamp="no time", FarEndAddress=OTHER, TaskId="t", GatewayTaskId="g")
    return text([*told, other]) + text([hers()])[:-1]


def raws(centre: Centre) -> list[str | None]:
    return [row["raw"] for row in centre.rows(QUARANTINE)]


def gold(centre: Centre) -> list[Any]:
    return [centre.rows(table) for table in GOLD_TABLES]


def test_one_customer_goes_and_all_others_stay(centre: Centre, capsys: pytest.CaptureFixture[str]) -> None:
    centre.arrives(
        interaction_object(HOUR, *interactions()),
        contact_object(HOUR, her_contact(), contact(ContactId="contact-2", CustomerEndpoint={"Address": OTHER})),
        {f"symbee/interactions/{HOUR}/bad": malformed()},
    )
    accepted = ("ingest_count.quarantined_share_symbee",)
    centre.run(sections=KEPT, accepted=accepted)
    store = centre.reader().store
    assert {value for _, value in objects_with(store, *THEIRS)} == set(THEIRS)
    before, kpis = centre.rows(SYMBEE_INTERACTION), gold(centre)
    assert len([raw for raw in raws(centre) if raw]) == 4

    told = forgets(centre, PHONE)
    assert (told["customers"], told["suppressed"]) == (1, 1)
    assert told["rows"] == {"silver/symbee_interaction": 2, "silver/connect_contact": 1, "ops/quarantine": 3}
    assert told["files_removed"]
    assert objects_with(store, *THEIRS) == set()
    nothing = dict.fromkeys(("far_end_address", "transferred_to_address", "attributes"))
    for row, old in zip(centre.rows(SYMBEE_INTERACTION), before, strict=True):
        assert row == (old if old["task_id"] == "task-2" else {**old, **nothing})
    assert {row["contact_id"]: row["customer_endpoint"] for row in centre.rows(CONNECT_CONTACT)} == {
        "contact-1": None,
        "contact-2": OTHER,
    }
    assert [OTHER in raw for raw in raws(centre) if raw is not None] == [True]
    assert gold(centre) == kpis
    assert PHONE not in json.dumps(told) + "".join(capsys.readouterr())

    versions = centre.reader().versions("silver", "gold")
    again = forgets(centre, SPELLED)
    assert (again["suppressed"], set(again["rows"].values()), again["files_removed"]) == (0, {0}, 0)
    assert centre.reader().versions("silver", "gold") == versions
    assert [row["job"] for row in centre.rows(RUN, ["job", "run_id"])] == ["daily", "forget", "forget"]

    # What was read before is written anew, a later version comes, and she calls again: nothing of hers comes back.
    later = her_contact(LastUpdateTimestamp="2025-03-05T00:00:00Z")
    centre.arrives(
        interaction_object(HOUR, *interactions(), hers(TaskId="task-4", GatewayTaskId="contact-4")),
        interaction_object(
            "2025/03/05/10", hers(TaskId="task-3", FarEndAddress="", CompletedTimestamp="2025-03-04T17:07:00Z")
        ),
        contact_object("2025/03/05/10", later, name="b"),
        {f"symbee/interactions/{HOUR}/bad": malformed() + b" "},
    )
    summary = centre.run("2025-03-07T00:00:00Z", sections=KEPT, accepted=accepted, is_full=True)
    assert (summary.inserted, summary.updated) == (1, 2)
    assert objects_with(store, *THEIRS) == set()
    assert [row["task_id"] for row in centre.rows(SYMBEE_INTERACTION) if row["far_end_address"]] == ["task-2"]
    assert centre.pending() == []


def test_a_run_without_the_key_of_the_list_is_refused(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    centre.arrives(interaction_object(HOUR, hers()))
    centre.run(sections=KEPT)
    forgets(centre, PHONE)
    before = centre.reader().versions("silver", "gold", "ops")
    monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, "another")
    with pytest.raises(ConfigurationError, match="not the key"):
        centre.run("2025-03-07T00:00:00Z", sections=KEPT)
    with pytest.raises(ConfigurationError, match="not the key"):
        forgets(centre, OTHER)
    monkeypatch.delenv(PSEUDONYM_KEY_VARIABLE)
    with pytest.raises(ConfigurationError, match=PSEUDONYM_KEY_VARIABLE):
        centre.run("2025-03-07T00:00:00Z", sections=KEPT)
    assert centre.reader().versions("silver", "gold", "ops") == before
    centre.run("2025-03-07T00:00:00Z")  # where nothing that identifies is stored, nothing can come back


def test_a_forgetting_that_failed_is_done_by_the_next(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the power went out")

    centre.arrives(interaction_object(HOUR, *interactions()), contact_object(HOUR, her_contact()))
    centre.run(sections=KEPT)
    store = centre.reader().store
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the power went out"):
        patch.setattr(tenure, "write_run", fail)
        forgets(centre, PHONE)
    assert forgets(centre, OTHER_MAIL)["rows"]["silver/symbee_interaction"] == 3  # hers too: she is on the list
    assert objects_with(store, *THEIRS, OTHER_MAIL) == set()
    # The other way round: all is recorded, and the files of before are still there.
    centre.arrives(
        interaction_object(
            "2025/03/05/10", interaction(TaskId="t", GatewayTaskId="g", FarEndAddress="carl@elsewhere.example")
        )
    )
    centre.run("2025-03-07T00:00:00Z", sections=KEPT)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the power went out"):
        patch.setattr("contactlake.forget.purge", fail)
        forgets(centre, "carl@elsewhere.example")
    assert objects_with(store, "carl@elsewhere.example")
    assert forgets(centre, "carl@elsewhere.example")["files_removed"]
    assert objects_with(store, "carl@elsewhere.example") == set()


def test_pseudonyms_go_too_on_s3(
    spark: SparkSession, s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, KEY)
    archive = open_store(s3_bucket.uri, s3_bucket.options)
    sections = {"privacy": {"customer_identifiers": "hash", "attributes_keep": ["Name"]}}
    settings = configuration(
        f"{s3_bucket.uri}/lake", s3_bucket.uri + "/symbee", s3_bucket.uri + "/connect", s3_bucket.options, sections
    )

    def arrives(hour: str, records: Sequence[dict[str, Any]]) -> None:
        archive.write(f"symbee/interactions/{hour}/a", text(records))

    arrives(HOUR, interactions())
    archive.write(f"connect/connectCtrAcme{HOUR}/a", text([her_contact()]))
    run(spark, settings, "2025-03-06T00:00:00Z")
    reader = Reader(spark, settings)
    pseudonyms = pseudonym(PHONE, KEY.encode()), pseudonym(OTHER, KEY.encode())
    assert columns_with(reader.store, pseudonyms[0]) == {
        ("silver/symbee_interaction", "far_end_address"),
        ("silver/connect_contact", "customer_endpoint"),
    }
    told = forget(settings, [PHONE], lambda _: None)
    assert told["rows"] == {"silver/symbee_interaction": 2, "silver/connect_contact": 1, "ops/quarantine": 0}
    assert {place for place, _ in objects_with(reader.store, pseudonyms[0])} == {
        f"_suppressed/{told['run_id']}.json",
    }
    assert objects_with(reader.store, *THEIRS) == set()
    assert columns_with(reader.store, pseudonyms[1]) == {("silver/symbee_interaction", "far_end_address")}
    arrives(HOUR, [*interactions(), hers(TaskId="task-5", GatewayTaskId="contact-5")])
    run(spark, settings, "2025-03-06T06:00:00Z", is_full=True)
    assert objects_with(reader.store, *THEIRS) == set()
    assert columns_with(reader.store, pseudonyms[0]) == set()
    assert reader.frame(SYMBEE_INTERACTION).count() == 4


# --- the command line ---


@pytest.mark.parametrize(
    "arguments",
    [
        ["forget", "--customer", "+1", "555-0100"],
        ["forget", "--customer-id=555-0100"],
        ["--customer", "555-0100", "forget"],
        ["forget", "--customer", "555-0100"],
        ["forget", "--customer", "555-0100", "--config", "nowhere.toml"],
    ],
)
def test_what_is_wrong_with_a_command_line_does_not_tell_whom_it_names(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTACTLAKE_CONFIG", raising=False)
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert "555" not in said.out + said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "wanted"),
    [(b"", "no customer"), (b"\n \n", "no customer"), (b"+ \n", "empty value"), (b"\xff555", "not UTF-8")],
)
def test_a_file_that_names_nobody_is_exit_2(
    content: bytes, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "customers"
    file.write_bytes(content)
    assert cli.main(["forget", "--file", str(file), "--config", "nowhere.toml"]) == 2
    assert wanted in capsys.readouterr().err
    assert cli.main(["forget", "--file", str(tmp_path / "none")]) == 2


def test_without_a_key_or_a_lake_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configuration(str(tmp_path / "lake"), str(tmp_path), str(tmp_path))
    monkeypatch.delenv(PSEUDONYM_KEY_VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=PSEUDONYM_KEY_VARIABLE):
        forget(settings, [PHONE], lambda _: None)
    monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, KEY)
    with pytest.raises(StorageError, match="holds no lake yet"):
        forget(settings, [PHONE], lambda _: None)
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("raw", "plain", "is_told"),
    [
        ('{"FarEndAddress":"+1 (555) 010-0123"}', PHONE, True),
        ('{"FarEndAddress":"\\u002b15550100123"}', PHONE, True),
        ('{"FarEndAddress":15550100123}', PHONE, True),
        ('{"FarEndAddress":"+15550100', PHONE, True),
        ('{"FarEndAddress":"+15550100124"}', PHONE, False),
        ('{"Email":"ANN@Example.org"}', MAIL, True),
        ('{"Email":"\\u0041nn@example.org"}', MAIL, True),
        ('{"Email":"ann\\/x@example.org"}', "ann/x@example.org", True),
        ('{"Email":"joann@example.com"}', MAIL, False),
        ('{"FarEndAddress":"+1\u00a0555\u2011010\u20110123"}', PHONE, True),
        ('{"Name":"M\\xfcller"}', "müller", True),
        ('{"Name":"\\ud83d\\ude00 Ann"}', "😀 ann", True),
        ('{"Name":"\\ud83d Ann"}', "😀 ann", False),
    ],
)
def test_a_text_mentions_a_value_however_it_is_written(raw: str, plain: str, is_told: bool) -> None:
    assert mentions(raw, {plain}) is is_told
