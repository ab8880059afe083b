"""What a run promises besides its figures: re-runs, late records, failures halfway, the gate, what is pending."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.centre import AS_OF, HOUR, Centre, assert_same_lake
from tests.lakes import run
from tests.records import contact, contact_object, interaction, interaction_object, text

from contactlake import run as run_module
from contactlake import tenure
from contactlake.errors import ConfigurationError, StorageError
from contactlake.tables.conformed import AGENT, INTERACTION, RECONCILIATION
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_INTERACTION
from contactlake.tables.gold import HANDLE_DAILY, RECONCILIATION_DAILY
from contactlake.tables.ops import INGEST_COUNT, INGESTED_OBJECT, QUALITY_RESULT, QUARANTINE, RUN

CONTACTS = Path(__file__).parents[1] / "data" / "contacts"


@pytest.fixture
def centre(spark: SparkSession, tmp_path: Path) -> Centre:
    return Centre(spark, tmp_path)


def test_the_last_update_of_a_contact_wins_in_either_order(centre: Centre) -> None:
    first, second = (
        (CONTACTS / name).read_bytes()
        for name in ("01_voice_first_delivery.json", "02_voice_redelivered_six_days_later.json")
    )
    keep = {
        "privacy": {"attributes_keep": ["greetingPlayed", "GreetingPlayed", "Acct_Code"]},
        "ingest": {"lookback_hours": 400},
    }
    for lake, order in (("forwards", (first, second)), ("backwards", (second, first))):
        for number, content in enumerate(order):
            centre.arrives({f"connect/connectCtrAcme2022/01/1{number + 1}/00/{lake}": content})
            centre.run(f"2022-01-1{number + 2}T00:00:00Z", lake=lake, sections=keep)
            shutil.rmtree(centre.root / "connect")
            (centre.root / "connect").mkdir()
        (row,) = centre.rows(CONNECT_CONTACT, lake=lake)
        assert row["last_update_at"].isoformat() == "2022-01-11T03:41:32"
        assert row["attributes"] == {"greetingPlayed": "false", "Acct_Code": ""}
        assert (row["agent_interaction_ms"], row["agent_hierarchy"]) == (239_000, "Support|Support All")
    assert_same_lake(centre, "forwards", "backwards")


def test_every_contact_sample_loads(centre: Centre) -> None:
    samples = sorted(CONTACTS.glob("*.json"))
    spelled_twice = b'{"AWSAccountId":"1","ContactId":"twice","InitiationTimestamp":"2025-03-01T00:00:00Z",'
    spelled_twice += b'"Attributes":{"greetingPlayed":"true","GreetingPlayed":"false","other":"x"}}'
    centre.arrives({f"connect/connectCtrAcme{HOUR}/{file.stem}": file.read_bytes() for file in samples})
    centre.arrives({f"connect/connectCtrAcme{HOUR}/spelled-twice": spelled_twice})
    keep = {"privacy": {"attributes_keep": ["greetingPlayed", "GreetingPlayed"]}}
    summary = centre.run(sections=keep)
    assert (summary.records, summary.quarantined) == (len(samples) + 1, 0)
    rows = {row["contact_id"]: row for row in centre.rows(CONNECT_CONTACT)}
    assert rows["twice"]["attributes"] == {"greetingPlayed": "true", "GreetingPlayed": "false"}
    older = rows["6f4f91fb-a1d9-d2ba-5979-84fb70c78a40"]
    assert (older["disconnect_reason"], older["agent_hierarchy"]) == (None, "Segment|Vendor|SiteA|Tier 1")
    assert rows["record-2"]["queue_ms"] == 120_000
    assert rows["record-1"]["agent"] is None


def test_late_records_reach_the_dates_they_touch_and_no_other(centre: Centre) -> None:
    other_day = {"ConnectedTimestamp": "2025-03-05T17:00:10Z", "CompletedTimestamp": "2025-03-05T17:06:00Z"}
    centre.arrives(
        interaction_object(HOUR, interaction(), interaction(TaskId="task-2", GatewayTaskId="contact-2", **other_day))
    )
    assert centre.run().dates == ["2025-03-04", "2025-03-05"]
    handle = centre.reader().versions("gold")["gold/handle_daily"]
    centre.arrives(contact_object("2025/03/05/20", contact()))
    summary = centre.run("2025-03-06T12:00:00Z")
    assert summary.dates == ["2025-03-04", "2025-03-05"]  # the fifth still awaits its contact
    statuses = {row["task_id"]: row["status"] for row in centre.rows(RECONCILIATION)}
    assert statuses == {"task-1": "MATCHED", "task-2": "AWAITING_CONTACT"}
    assert centre.reader().versions("gold")["gold/handle_daily"] == (handle or 0) + 1  # hold and queue time came


def test_awaiting_becomes_missing_once_the_grace_is_over(centre: Centre) -> None:
    centre.arrives(interaction_object(HOUR, interaction()))
    centre.run("2025-03-05T00:00:00Z")
    assert [row["status"] for row in centre.rows(RECONCILIATION)] == ["AWAITING_CONTACT"]
    assert centre.pending() == [date(2025, 3, 4)]
    centre.run("2025-03-05T17:06:00Z")
    assert [row["status"] for row in centre.rows(RECONCILIATION)] == ["MISSING_CONTACT"]
    assert [row["status"] for row in centre.rows(RECONCILIATION_DAILY)] == ["MISSING_CONTACT"]
    assert centre.pending() == []


def test_a_correction_moves_a_row_to_another_date(centre: Centre) -> None:
    centre.arrives(interaction_object(HOUR, interaction()))
    centre.run()
    assert [row["business_date"] for row in centre.rows(HANDLE_DAILY)] == [date(2025, 3, 4)]
    centre.arrives(
        interaction_object("2025/03/05/10", interaction(CompletedTimestamp="2025-03-05T07:00:00Z"), name="b")
    )
    summary = centre.run("2025-03-07T00:00:00Z")
    assert (summary.updated, summary.dates) == (1, ["2025-03-04", "2025-03-05"])
    assert [row["business_date"] for row in centre.rows(HANDLE_DAILY)] == [date(2025, 3, 5)]


def test_an_agent_seen_later_makes_earlier_contacts_missing(centre: Centre) -> None:
    centre.arrives(contact_object(HOUR, contact()))
    centre.run()
    assert [row["status"] for row in centre.rows(RECONCILIATION)] == ["NOT_SYMBEE_AGENT"]
    other = interaction(
        TaskId="t",
        GatewayTaskId="g",
        DeliveryProvider="SYMBEE",
        TaskType="SMS",
        CompletedTimestamp="2025-03-03T17:06:00Z",
    )
    centre.arrives(interaction_object("2025/03/05/10", other))
    summary = centre.run("2025-03-07T00:00:00Z")
    assert summary.dates == ["2025-03-03", "2025-03-04"]
    assert {row["status"] for row in centre.rows(RECONCILIATION)} == {"NOT_EXPECTED", "MISSING_INTERACTION"}


def test_a_sighting_that_is_taken_back_counts_no_more(centre: Centre) -> None:
    centre.arrives(contact_object(HOUR, contact()))
    centre.arrives(interaction_object(HOUR, interaction(GatewayTaskId="elsewhere")))
    centre.run()
    assert [row["agent"] for row in centre.rows(AGENT)] == ["cmiller"]
    corrected = interaction(GatewayTaskId="elsewhere", Username="other", CompletedTimestamp="2025-03-04T17:07:00Z")
    centre.arrives(interaction_object("2025/03/05/10", corrected, name="b"))
    centre.run("2025-03-07T00:00:00Z")
    assert [row["agent"] for row in centre.rows(AGENT)] == ["other"]
    statuses = {row["contact_id"]: row["status"] for row in centre.rows(RECONCILIATION)}
    assert statuses["contact-1"] == "NOT_SYMBEE_AGENT"
    centre.run("2025-03-07T00:00:00Z", lake="at-once")
    assert_same_lake(centre, "lake", "at-once")


def test_a_transcript_that_comes_later_reaches_its_interaction(centre: Centre) -> None:
    key = "ChatTranscripts/2025/03/04/chat-1"
    chat = interaction(DeliveryProvider="SYMBEE", TaskType="WEBCHAT", MediaLocation=f"sc-reporting/{key}")
    centre.arrives(interaction_object(HOUR, chat))
    centre.run(with_transcripts=True)
    assert [row["transcript_status"] for row in centre.rows(INTERACTION)] == ["MISSING"]
    transcript = {"ActivityType": "CHAT_TRANSCRIPT", "SessionId": "s", "Transcript": []}
    centre.arrives({f"symbee/{key}": text([transcript])})
    assert centre.run(with_transcripts=True).dates == ["2025-03-04"]
    assert [row["transcript_status"] for row in centre.rows(INTERACTION)] == ["PRESENT"]


def test_jobs_one_by_one_give_what_daily_gives(centre: Centre) -> None:
    centre.arrives(interaction_object(HOUR, interaction()), contact_object(HOUR, contact()))
    centre.run(job="ingest")
    assert centre.pending() == [date(2025, 3, 4)]
    assert centre.rows(INTERACTION) == []
    centre.run(job="reconcile")
    assert centre.pending() == [date(2025, 3, 4)]
    assert len(centre.rows(INTERACTION)) == 1
    assert centre.rows(HANDLE_DAILY) == []
    summary = centre.run(job="measure")
    assert summary.dates == ["2025-03-04"]
    assert centre.pending() == []
    centre.run(lake="daily")
    assert_same_lake(centre, "lake", "daily")


def test_what_is_measured_before_it_is_reconciled_stays_pending(centre: Centre) -> None:
    centre.arrives(interaction_object(HOUR, interaction()), contact_object(HOUR, contact()))
    centre.run(job="ingest")
    centre.run(job="measure")
    assert centre.pending() == [date(2025, 3, 4)]
    centre.run(job="reconcile")
    centre.arrives(interaction_object(HOUR, interaction(TaskId="late", GatewayTaskId="other"), name="late"))
    centre.run(job="ingest")
    centre.run(job="measure")
    assert centre.pending() == [date(2025, 3, 4)]
    centre.run()
    centre.run(lake="daily")
    assert_same_lake(centre, "lake", "daily")


@pytest.mark.parametrize("is_told_first", [True, False])
def test_versions_of_which_one_does_not_tell_its_initiation_are_one(centre: Centre, is_told_first: bool) -> None:
    told = interaction()
    silent = interaction(InitiationTimestamp=None, CompletedTimestamp="2025-03-05T17:06:00Z")
    first, second = (told, silent) if is_told_first else (silent, told)
    centre.arrives(interaction_object(HOUR, first, name="first"))
    centre.run()
    centre.arrives(interaction_object(HOUR, second, name="second"))
    centre.run()
    centre.run(lake="at-once")
    assert len(centre.rows(SYMBEE_INTERACTION)) == 1
    assert_same_lake(centre, "lake", "at-once")


def test_a_feed_that_cannot_be_read_yet_touches_nothing(centre: Centre) -> None:
    settings = centre.settings()
    other = settings.feed[0].model_copy(update={"name": "vonage"})
    unknown = settings.model_copy(update={"feed": [other]})
    with pytest.raises(ConfigurationError, match="vonage"):
        run(centre.spark, unknown, AS_OF)
    assert not (centre.root / "lake").exists()


def test_a_named_range_leaves_other_dates_pending(centre: Centre) -> None:
    days = [f"2025-03-0{day}" for day in (2, 3, 4)]
    for day in days:
        task = interaction(
            TaskId=day,
            GatewayTaskId=day,
            DeliveryProvider="SYMBEE",
            TaskType="SMS",
            CompletedTimestamp=f"{day}T17:06:00Z",
        )
        centre.arrives(interaction_object(HOUR, task, name=day))
    summary = centre.run(dates=(date(2025, 3, 3), date(2025, 3, 3)))
    assert summary.dates == ["2025-03-03"]
    assert {row["business_date"] for row in centre.rows(HANDLE_DAILY)} == {date(2025, 3, 3)}
    assert centre.pending() == [date(2025, 3, 2), date(2025, 3, 4)]
    assert centre.run().dates == ["2025-03-02", "2025-03-04"]
    assert len(centre.rows(HANDLE_DAILY)) == 3
    assert centre.pending() == []


def test_an_earlier_clock_than_the_last_runs_is_refused(centre: Centre) -> None:
    centre.arrives(interaction_object(HOUR, interaction()))
    centre.run()
    before = centre.reader().versions("silver", "gold", "ops")
    with pytest.raises(ConfigurationError, match="--as-of"):
        centre.run("2025-03-05T00:00:00Z")
    assert centre.reader().versions("silver", "gold", "ops") == before


def test_no_matching_object_is_no_failure(centre: Centre, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        summary = centre.run()
    assert (summary.objects, summary.verdict, summary.dates) == (0, "passed", [])
    assert "no object matches" in caplog.text
    assert centre.rows(HANDLE_DAILY) == []
    assert [row["status"] for row in centre.rows(RUN, ["status"])] == ["SUCCEEDED"]


def test_an_object_that_vanishes_is_told_and_tried_again(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    centre.arrives(interaction_object(HOUR, interaction()), interaction_object(HOUR, interaction(TaskId="b"), name="b"))
    vanishing = centre.root / "symbee" / "interactions" / HOUR / "b"
    content = vanishing.read_bytes()
    land = vars(run_module)["land"]

    def land_too_late(*arguments: Any) -> Any:
        vanishing.unlink()
        return land(*arguments)

    with monkeypatch.context() as patch, caplog.at_level("WARNING"):
        patch.setattr(run_module, "land", land_too_late)
        summary = centre.run()
    assert (summary.objects, summary.inserted) == (1, 1)
    assert "interactions/2025/03/04/18/b" in caplog.text
    assert len(centre.rows(INGESTED_OBJECT)) == 1
    vanishing.write_bytes(content)
    assert centre.run().inserted == 1


def _fail_in(name: str) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"the power went out in {name}")

    return fail


@pytest.mark.parametrize("step", ["write_accounts", "judge_and_report", "publish", "write_run"])
def test_a_run_that_failed_is_undone_by_the_next(centre: Centre, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    centre.arrives(interaction_object(HOUR, interaction()), contact_object(HOUR, contact()))
    centre.run()
    centre.arrives(
        interaction_object("2025/03/05/10", interaction(TaskId="t2", GatewayTaskId="contact-2"), name="b"),
        contact_object("2025/03/05/10", contact(LastUpdateTimestamp="2025-03-05T00:00:00Z", Channel="TASK"), name="b"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(tenure if step == "write_run" else run_module, step, _fail_in(step))
        with pytest.raises(RuntimeError, match="the power went out"):
            centre.run()
    summary = centre.run()
    assert (summary.objects, summary.inserted, summary.updated) == (2, 1, 1)
    assert centre.pending() == []
    centre.run(lake="undisturbed")
    assert_same_lake(centre, "lake", "undisturbed")
    counts = centre.rows(INGEST_COUNT, ["records", "inserted", "updated", "duplicate"])
    assert sum(row["records"] for row in counts) == 4
    assert sum(row["inserted"] + row["updated"] for row in counts) == 4


def gold_files(centre: Centre) -> set[Path]:
    return set((centre.root / "lake" / "gold").rglob("*.parquet"))


def test_the_gate_keeps_gold_as_it_was_until_somebody_accepts(centre: Centre) -> None:
    def task(number: int, **changes: Any) -> dict[str, Any]:
        return interaction(
            TaskId=f"task-{number}", GatewayTaskId=f"g-{number}", DeliveryProvider="SYMBEE", TaskType="SMS", **changes
        )

    centre.arrives(interaction_object(HOUR, *(task(number) for number in range(50))))
    assert centre.run().verdict == "passed"
    gold, files = centre.reader().versions("gold"), gold_files(centre)
    bad = [task(number, CompletedTimestamp="") for number in range(10)]
    centre.arrives(interaction_object("2025/03/05/10", *(task(number) for number in range(50, 150)), *bad, name="b"))
    summary = centre.run()
    expectation = "ingest_count.quarantined_share_symbee"
    assert (summary.verdict, summary.failed_expectations) == ("failed", [expectation])
    assert summary.quarantined == 10
    assert (centre.reader().versions("gold"), gold_files(centre)) == (gold, files)
    assert len(centre.rows(INTERACTION)) == 150
    assert centre.pending() == [date(2025, 3, 4)]
    assert [row["status"] for row in centre.rows(RUN, ["run_id", "status"])] == ["SUCCEEDED", "GATE_FAILED"]
    assert centre.run().verdict == "failed"  # nothing new, and nothing forgotten
    accepted = centre.run(accepted=(expectation,))
    assert (accepted.verdict, accepted.dates) == ("passed", ["2025-03-04"])
    assert [row["handled"] for row in centre.rows(HANDLE_DAILY)] == [150]
    results = [row for row in centre.rows(QUALITY_RESULT) if row["expectation"] == expectation]
    assert any("accepted by" in row["observed"] and not row["is_success"] for row in results)
    assert centre.pending() == []


def test_an_unknown_expectation_cannot_be_accepted(centre: Centre) -> None:
    with pytest.raises(ConfigurationError, match=r"--accept handle_daily\.nonsense"):
        centre.run(accepted=("handle_daily.nonsense",))


def test_a_lake_of_a_newer_version_is_left_alone(centre: Centre) -> None:
    centre.arrives(interaction_object(HOUR, interaction()))
    centre.run()
    (centre.root / "lake" / "_contactlake.json").write_text('{"schema_version": 99}')
    before = centre.reader().versions("silver", "gold", "ops")
    with pytest.raises(StorageError, match="newer contactlake"):
        centre.run()
    assert centre.reader().versions("silver", "gold", "ops") == before


def test_a_directory_that_is_no_delta_table_is_left_alone(centre: Centre) -> None:
    stray = centre.root / "lake" / "gold" / "handle_daily" / "notes.txt"
    stray.parent.mkdir(parents=True)
    stray.write_text("mine")
    with pytest.raises(StorageError, match=r"gold/handle_daily holds files but no Delta table"):
        centre.run()
    assert stray.read_text() == "mine"


def test_the_data_docs_are_static_pages_without_values(centre: Centre) -> None:
    centre.arrives(
        interaction_object(HOUR, interaction(SkillQueueName="a-telling-queue")), contact_object(HOUR, contact())
    )
    centre.run()
    pages = list((centre.root / "lake" / "data_docs").rglob("*.html"))
    assert (centre.root / "lake" / "data_docs" / "index.html") in pages
    content = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert "handle_ms" in content
    assert "a-telling-queue" not in content
    assert "cmiller" not in content


def test_quarantined_text_is_kept_only_where_privacy_says_so(centre: Centre) -> None:
    broken = text([interaction()])[:-1]
    centre.arrives({f"symbee/interactions/{HOUR}/a": broken})
    centre.run()
    (row,) = centre.rows(QUARANTINE)
    assert (row["raw"], row["bytes"], row["reason"]) == (None, len(broken), "UNDECODABLE")
    centre.run(lake="kept", sections={"privacy": {"customer_identifiers": "keep"}})
    (row,) = centre.rows(QUARANTINE, lake="kept")
    assert row["raw"] == broken.decode()
