"""The synthesised archive: the same for the same seed, consistent where it is clean, wrong as announced where not."""

import argparse
import gzip
import io
import json
import re
import tomllib
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contactlake.errors import ConfigurationError
from contactlake.synthesize import TYPES, Summary, add_arguments, config_toml, run, synthesize

Record = dict[str, Any]

FOLDERS = {
    "interactions": "symbee/interactions/2*/*/*/*",
    "workcodes": "symbee/workcodes/2*/*/*/*",
    "usage": "symbee/usage/2*/*/*/*",
    "agentevents": "symbee/agentevents/2*/*/*/*",
    "contacts": "connect/connectCtrAcme2*/*/*/*",
    "transcripts": "symbee/ChatTranscripts/*/*/*",
}
KEYS = {
    "interactions": ("TaskId", "CompletedTimestamp"),
    "workcodes": ("GatewayTaskId", "WorkCodeName", "Username", "CreatedDate"),
    "usage": ("Username", "UsageEntryTime", "UsageActionCode"),
    "agentevents": ("Username", "AgentSessionId", "CurrentStateTimestamp", "EventType", "CurrentState"),
    "contacts": ("ContactId",),
    "transcripts": (),
}
ACTIVITIES = {
    "INTERACTION_TRACE_RECORD",
    "WORK_CODES",
    "USER_USAGE",
    "EXTENDED_AGENT_EVENTS",
    "CHAT_TRANSCRIPT",
}
RECORD_START = re.compile(r'\{\s*"(?:ActivityType|AWSAccountId)"')
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ?")
BETWEEN = re.compile(r"(?:\s|\\n)*")


def small(out: Path, *, faults: bool, seed: int = 7, days: int = 2, agents: int = 30, **more: Any) -> Summary:
    return synthesize(out, start=date(2025, 3, 7), days=days, agents=agents, seed=seed, faults=faults, **more)


@dataclass(frozen=True)
class Sample:
    out: Path
    summary: Summary


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    out = tmp_path_factory.mktemp("clean")
    return Sample(out, small(out, faults=False))


@pytest.fixture(scope="module")
def untidy(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    out = tmp_path_factory.mktemp("untidy")
    return Sample(out, small(out, faults=True))


def tree(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def objects(out: Path, record_type: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(out.glob(f"{FOLDERS[record_type]}/*")):
        if path.is_file() and path.name != "_SUCCESS" and path.stat().st_size:
            yield path.name, path.read_bytes()


def decompressed(data: bytes) -> bytes | None:
    """The text of an object, told by its first bytes; None where it can't be read."""
    if data.startswith(b"\x1f\x8b"):
        try:
            return gzip.decompress(data)
        except EOFError:
            return None
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    return data


def refuse(constant: str) -> Any:
    raise ValueError(constant)


DECODER = json.JSONDecoder(parse_constant=refuse)


def split(data: bytes) -> Iterator[Any]:
    """The values of an object; None for each stretch that is no JSON, which ends at the next record start."""
    text = data.decode("utf-8-sig", "surrogateescape")
    if text.startswith("["):
        yield from DECODER.decode(text)
        return
    at = 0
    while True:
        between = BETWEEN.match(text, at)
        at = between.end() if between else at
        if at >= len(text):
            return
        try:
            value, end = DECODER.raw_decode(text, at)
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            value = None
        except ValueError:
            following = RECORD_START.search(text, at + 1)
            value, end = None, following.start() if following else len(text)
        at = end
        yield value


def everything(out: Path, record_type: str) -> list[Any]:
    readable = (text for _, data in objects(out, record_type) if (text := decompressed(data)) is not None)
    return [value for text in readable for value in split(text)]


def is_well_formed(value: Any, record_type: str) -> bool:
    if not isinstance(value, dict) or any(not value[key] for key in KEYS[record_type]):
        return False
    if record_type != "contacts" and value["ActivityType"] not in ACTIVITIES:
        return False
    return all(is_readable(key, inner) for key, inner in leaves(value))


def leaves(value: Record) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and key != "Attributes":
            yield from leaves(inner)
        else:
            yield key, inner


def is_readable(key: str, value: Any) -> bool:
    if key.endswith(("Timestamp", "Time", "Date")):
        return value is None or value == "" or INSTANT.fullmatch(value) is not None
    if re.search(r"Duration|Millis|Count$|Attempts$|NumberOf", key):
        return type(value) is int and value >= 0
    return True


def second(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())


def test_the_same_seed_gives_the_same_archive_whatever_the_number_of_processes(untidy: Sample, tmp_path: Path) -> None:
    summary = small(tmp_path, faults=True, processes=2)
    assert tree(tmp_path) == tree(untidy.out)
    assert summary == untidy.summary


def test_another_seed_gives_another_archive(clean: Sample, tmp_path: Path) -> None:
    small(tmp_path, faults=False, seed=8)
    names = {path for path in tree(tmp_path) if "Transcripts" not in path}
    assert not names & tree(clean.out).keys()


def test_faults_do_not_change_what_happened(clean: Sample, untidy: Sample) -> None:
    tidy = {record["TaskId"] for record in everything(clean.out, "interactions")}
    kept = {r["TaskId"] for r in everything(untidy.out, "interactions") if is_well_formed(r, "interactions")}
    assert len(tidy - kept) < 0.05 * len(tidy)


@pytest.mark.parametrize("record_type", TYPES)
def test_a_clean_archive_holds_every_record_once_and_well_formed(clean: Sample, record_type: str) -> None:
    records = everything(clean.out, record_type)
    assert len(records) == clean.summary.records[record_type]
    assert all(is_well_formed(record, record_type) for record in records)
    assert len({json.dumps(record, sort_keys=True) for record in records}) == len(records)


def test_a_clean_archive_is_gzip_or_plain_and_named_so(clean: Sample) -> None:
    kinds = Counter[str]()
    for record_type in set(TYPES) - {"transcripts"}:
        for name, data in objects(clean.out, record_type):
            kinds["gzip" if name.endswith(".gz") else "plain"] += 1
            assert name.endswith(".gz") == data.startswith(b"\x1f\x8b")
            assert not data.startswith(b"PK")
    assert kinds["gzip"] > kinds["plain"] > 0
    assert not clean.summary.faults


def test_the_order_of_the_keys_is_the_vendors(clean: Sample) -> None:
    assert list(everything(clean.out, "interactions")[0])[:3] == ["ActivityType", "TaskId", "PlatformId"]
    contact = list(everything(clean.out, "contacts")[0])
    assert contact[0] == "AWSAccountId"
    assert contact == sorted(contact)


def test_what_amazon_delivered_has_a_contact_that_tells_the_same(clean: Sample) -> None:
    contacts = {record["ContactId"]: record for record in everything(clean.out, "contacts")}
    compared = 0
    for task in everything(clean.out, "interactions"):
        if task["DeliveryProvider"] != "AMAZON":
            continue
        contact = contacts[task["GatewayTaskId"]]
        agent = contact["Agent"]
        assert agent["Username"] == task["Username"]
        assert task["SkillQueueName"] in ("", contact["Queue"] and contact["Queue"]["Name"])
        for ours, theirs in (
            ("ConnectedTimestamp", "ConnectedToAgentTimestamp"),
            ("WrapTimestamp", "AfterContactWorkStartTimestamp"),
            ("CompletedTimestamp", "AfterContactWorkEndTimestamp"),
        ):
            assert abs(second(task[ours]) - second(agent[theirs])) <= 1
        talk = agent["AgentInteractionDuration"] + agent["CustomerHoldDuration"]
        assert abs(task["ActiveDurationInMillis"] + task["ParkedDurationInMillis"] - 1000 * talk) <= 1_500
        compared += 1
    assert compared > 500


def test_a_contacts_durations_follow_from_its_times(clean: Sample) -> None:
    held = 0
    for contact in everything(clean.out, "contacts"):
        agent, queue = contact["Agent"], contact["Queue"]
        if agent:
            wrap = second(agent["AfterContactWorkStartTimestamp"])
            talk = wrap - second(agent["ConnectedToAgentTimestamp"])
            assert agent["AgentInteractionDuration"] + agent["CustomerHoldDuration"] == talk
            assert agent["AfterContactWorkDuration"] == second(agent["AfterContactWorkEndTimestamp"]) - wrap
            assert agent["LongestHoldDuration"] <= agent["CustomerHoldDuration"]
            held += agent["NumberOfHolds"] > 0
        if queue and queue["EnqueueTimestamp"]:
            waited = second(queue["DequeueTimestamp"]) - second(queue["EnqueueTimestamp"])
            assert queue["Duration"] == waited or contact["InitiationMethod"] == "CALLBACK"
    assert held > 20


def test_an_interactions_clocks_fill_the_time_between_its_stamps(clean: Sample) -> None:
    order = ("Initiation", "Queued", "Assigned", "Connected", "Wrap", "Completed")
    for task in everything(clean.out, "interactions"):
        if task["TaskInitiationMethod"].startswith("OUTBOUND_AUTO"):
            continue
        stamps = [stamp for name in order if (stamp := task[f"{name}Timestamp"])]
        assert stamps == sorted(stamps)
        if task["ConnectedTimestamp"]:
            spent = second(task["WrapTimestamp"]) - second(task["ConnectedTimestamp"])
            assert abs(task["ActiveDurationInMillis"] + task["ParkedDurationInMillis"] - 1000 * spent) <= 1000


def test_sessions_have_no_gaps_and_one_task_in_focus(clean: Sample) -> None:
    sessions: dict[str, list[Record]] = defaultdict(list)
    for event in everything(clean.out, "agentevents"):
        sessions[event["AgentSessionId"]].append(event)
    at_work = Counter[str]()
    for events in sessions.values():
        assert events[0]["EventType"] == "LOGIN"
        for before, after in pairwise(events):
            assert after["PreviousState"] == before["CurrentState"]
            assert after["PreviousStateTimestamp"] == before["CurrentStateTimestamp"]
            assert after["PreviousFocusTaskId"] == before["CurrentFocusTaskId"]
            if before["CurrentState"] in ("WORKING", "WRAP", "PENDING_UNAVAILABLE"):
                at_work[after["Username"]] += after["PreviousStateDurationMS"]
    focused = Counter[str]()
    for task in everything(clean.out, "interactions"):
        if task["Username"]:
            focused[task["Username"]] += task["ActiveDurationInMillis"] + task["WrapDurationInMillis"]
    assert focused.keys() == at_work.keys()
    assert all(0.8 < focused[agent] / at_work[agent] <= 1.001 for agent in focused)


def test_the_centre_is_a_varied_one(clean: Sample) -> None:
    tasks = everything(clean.out, "interactions")
    contacts = everything(clean.out, "contacts")
    states = {event["CurrentState"] for event in everything(clean.out, "agentevents")}
    assert {task["DeliveryProvider"] for task in tasks} == {"AMAZON", "SYMBEE", "SMARTDIAL"}
    assert {"VOICE", "WEBCHAT", "SMS", "ROUTED_EMAIL", "PREVIEW_DIAL", "GENERIC_TASK"} <= {t["TaskType"] for t in tasks}
    assert any(task["OriginTaskId"] for task in tasks)
    assert any(task["ParkedDurationInMillis"] for task in tasks)
    assert any(not task["Username"] for task in tasks)
    methods = {contact["InitiationMethod"] for contact in contacts}
    assert {"INBOUND", "OUTBOUND", "TRANSFER", "CALLBACK", "QUEUE_TRANSFER", "API", "EXTERNAL_OUTBOUND"} <= methods
    assert any(contact["Agent"] is None and contact["Queue"] and not contact["NextContactId"] for contact in contacts)
    assert any("DisconnectReason" not in contact for contact in contacts)
    assert any({"greetingPlayed", "GreetingPlayed"} <= contact["Attributes"].keys() for contact in contacts)
    assert any(contact.get("ChatMetrics") for contact in contacts)
    known = {contact["ContactId"] for contact in contacts}
    assert {contact["NextContactId"] for contact in contacts} <= known | {None}
    assert {"UNAVAILABLE", "PENDING_UNAVAILABLE", "RESERVING", "RESERVED", "WORKING", "WRAP", "IDLE"} <= states


def test_transcripts_lie_where_their_interactions_say(clean: Sample) -> None:
    named = {task["MediaLocation"].partition("/")[2] for task in everything(clean.out, "interactions")} - {""}
    assert {f"symbee/{key}" for key in named} == {key for key in tree(clean.out) if "/ChatTranscripts/" in key}


@pytest.mark.parametrize("record_type", TYPES)
def test_an_untidy_archive_holds_what_its_summary_says(untidy: Sample, record_type: str) -> None:
    assert len(everything(untidy.out, record_type)) == untidy.summary.records[record_type]


def test_every_malformed_record_is_counted_and_they_are_few(untidy: Sample) -> None:
    malformed = {
        record_type: sum(not is_well_formed(record, record_type) for record in everything(untidy.out, record_type))
        for record_type in TYPES
    }
    assert sum(malformed.values()) == untidy.summary.malformed
    assert all(count < 0.04 * untidy.summary.records[record_type] for record_type, count in malformed.items())


def test_an_untidy_archive_has_faults_of_every_kind(untidy: Sample) -> None:
    kinds = {
        "malformed_truncated",
        "malformed_missing_comma",
        "malformed_bad_utf8",
        "malformed_not_an_object",
        "malformed_not_json",
        "malformed_unknown_type",
        "malformed_nan",
        "malformed_wrong_type",
        "malformed_missing_key",
        "malformed_negative_duration",
        "malformed_transcript",
        "late",
        "duplicate",
        "redelivered_contact",
        "lost_interaction",
        "lost_contact",
        "lost_transcript",
        "clock_difference",
        "extra_interaction",
        "array",
        "byte_order_mark",
        "marker",
        "empty_object",
        "failed_object",
        "corrupt_object",
    }
    assert kinds <= untidy.summary.faults.keys()
    unreadable = [data for kind in TYPES for _, data in objects(untidy.out, kind) if decompressed(data) is None]
    assert len(unreadable) == untidy.summary.faults["corrupt_object"]
    names = tree(untidy.out)
    assert any("connectCtrAcmeprocessing-failed/" in name for name in names)
    assert any("/usage/processing-failed/" in name for name in names)
    first_bytes = {data[:2] for kind in TYPES for _, data in objects(untidy.out, kind)}
    assert {b"\x1f\x8b", b"PK", b'{"', b"[{"} <= first_bytes
    endings = {data[-2:] for kind in TYPES for _, data in objects(untidy.out, kind) if data.startswith(b"{")}
    assert {b"}\n", b"\\n", b"\r\n"} <= endings


def test_a_contact_is_delivered_again_with_one_more_attribute(untidy: Sample) -> None:
    versions: dict[str, dict[str, Record]] = defaultdict(dict)
    for contact in everything(untidy.out, "contacts"):
        if is_well_formed(contact, "contacts"):
            versions[contact["ContactId"]][contact["LastUpdateTimestamp"]] = contact
    several = [[each[stamp] for stamp in sorted(each)] for each in versions.values() if len(each) > 1]
    assert several
    for first, last in several:
        assert last["Attributes"].keys() - first["Attributes"].keys() == {"surveyResult"}


def test_a_target_is_met_within_five_per_cent(tmp_path: Path) -> None:
    types = frozenset({"interactions", "contacts"})
    summary = small(tmp_path, faults=False, types=types, target_bytes=12_000_000, days=3)
    assert summary.raw_bytes == pytest.approx(12_000_000, rel=0.05)
    assert summary.records.keys() == types


def test_without_transcripts_no_chat_names_one(tmp_path: Path) -> None:
    small(tmp_path, faults=True, days=1, agents=6, types=frozenset({"interactions"}))
    assert all("ChatTranscripts" not in name for name in tree(tmp_path))
    tasks = [task for task in everything(tmp_path, "interactions") if is_well_formed(task, "interactions")]
    assert tasks
    assert all(task["MediaLocation"] == "" for task in tasks)


def test_objects_are_closed_at_their_size(tmp_path: Path) -> None:
    small(tmp_path, faults=False, days=1, types=frozenset({"contacts"}), object_bytes=50_000)
    sizes = [len(decompressed(data) or b"") for _, data in objects(tmp_path, "contacts")]
    assert max(sizes) < 60_000
    assert sum(size >= 50_000 for size in sizes) > 5


def test_more_interactions_a_day_when_asked_for(clean: Sample, tmp_path: Path) -> None:
    busy = small(tmp_path, faults=False, types=frozenset({"interactions"}), interactions_per_agent_day=70)
    assert busy.records["interactions"] == pytest.approx(2 * clean.summary.records["interactions"], rel=0.15)


def test_the_command_line_gives_the_same_as_the_call(clean: Sample, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--out", str(tmp_path), "--agents", "30", "--start", "2025-03-07", "--clean"])
    assert run(args) == clean.summary
    assert json.loads(clean.summary.to_json())["raw_bytes"] == clean.summary.raw_bytes


def test_the_configuration_names_every_feed(tmp_path: Path) -> None:
    configuration = tomllib.loads(config_toml(tmp_path / "archive", tmp_path / "lake", "America/Chicago"))
    assert configuration["lake"] == {"root": (tmp_path / "lake").as_posix(), "timezone": "America/Chicago"}
    assert [(feed["name"], feed["prefix"]) for feed in configuration["feed"]] == [
        ("symbee", "interactions/"),
        ("symbee", "workcodes/"),
        ("symbee", "usage/"),
        ("symbee", "agentevents/"),
        ("symbee_transcript", "ChatTranscripts/"),
        ("connect_contact", "connectCtrAcme"),
    ]
    assert configuration["feed"][4]["layout"] == "%Y/%m/%d/"
    assert configuration["feed"][5]["environment"] == "abccompany/prod"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"days": 0}, "days"),
        ({"agents": 0}, "agents"),
        ({"processes": 0}, "processes"),
        ({"types": frozenset({"calls"})}, "calls"),
        ({"timezone": "America/Nowhere"}, "timezone"),
        ({"types": frozenset({"usage"}), "target_bytes": 1000}, "interactions or contacts"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        small(tmp_path, faults=False, **wrong)
    assert not list(tmp_path.iterdir())


def test_an_archive_is_never_written_over(clean: Sample) -> None:
    with pytest.raises(ConfigurationError, match="already holds an archive"):
        small(clean.out, faults=False)
