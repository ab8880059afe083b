"""A centre with something in every feed, its lakes in a directory or a bucket, and drivers that run on them."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from tests.centre import Centre, _plain
from tests.drivers import Driver, Drivers, Ended
from tests.lakes import SYMBEE_PREFIXES, write_objects
from tests.records import (
    Record,
    agent_event,
    contact,
    contact_object,
    interaction,
    interaction_object,
    text,
    usage,
    work_code,
)
from tests.s3_server import Bucket

from contactlake.history import COMPLETE
from contactlake.tables import TABLES
from contactlake.tables.ops import RUN

AS_OF = "2025-03-08T00:00:00Z"
_OF_RUNS = ("source_object", "source_ordinal", "run_id", "since_run")
"""What differs between two lakes of the same records."""

Facts = dict[str, list[Any]]


def _object(folder: str, hour: str, name: str, *records: Record) -> dict[str, bytes]:
    return {f"symbee/{folder}/{hour}/{name}": text(records)}


def _chat(number: int) -> tuple[dict[str, bytes], dict[str, Any]]:
    """A chat and its transcript."""
    key = f"ChatTranscripts/2025/03/04/chat-{number}"
    chat = interaction(
        TaskId=f"chat-{number}",
        GatewayTaskId=f"chat-{number}",
        DeliveryProvider="SYMBEE",
        TaskType="WEBCHAT",
        MediaLocation=f"sc-reporting/{key}",
    )
    transcript = {"ActivityType": "CHAT_TRANSCRIPT", "SessionId": "s", "Transcript": []}
    return {f"symbee/{key}": text([transcript])}, chat


def first_archive() -> dict[str, bytes]:
    """A day in every feed, with a malformed record."""
    hour = "2025/03/04/18"
    transcript, chat = _chat(1)
    next_day = {"ConnectedTimestamp": "2025-03-05T17:00:10Z", "CompletedTimestamp": "2025-03-05T17:06:00Z"}
    return {
        **interaction_object(
            hour, interaction(), interaction(TaskId="task-2", GatewayTaskId="contact-2", **next_day), chat
        ),
        **_object("interactions", hour, "malformed", interaction(TaskId="task-3", CompletedTimestamp="")),
        **contact_object(hour, contact(), contact(ContactId="contact-9")),
        **transcript,
        **_object("workcodes", hour, "codes", work_code()),
        **_object(
            "usage", hour, "usage", usage("2025-03-04T16:00:00Z", "LOGIN"), usage("2025-03-04T16:30:00Z", "ALIVE")
        ),
        **_object(
            "agentevents",
            hour,
            "events",
            agent_event("2025-03-04T16:00:00Z", "AVAILABLE", EventType="LOGIN"),
            agent_event("2025-03-04T18:00:00Z", "UNAVAILABLE", CurrentStateReason="Lunch"),
        ),
    }


def second_archive() -> dict[str, bytes]:
    """What comes later: updates of contacts and interactions, new ones, and copies of what is there."""
    hour = "2025/03/05/20"
    transcript, chat = _chat(2)
    updates: dict[str, Any] = {"LastUpdateTimestamp": "2025-03-05T19:00:00Z"}
    return {
        **interaction_object(
            hour,
            interaction(CompletedTimestamp="2025-03-04T17:07:00Z"),
            interaction(TaskId="task-4", GatewayTaskId="contact-4"),
            chat,
            name="later",
        ),
        **contact_object(
            hour,
            contact(agent={"AfterContactWorkDuration": 55}, **updates),
            contact(ContactId="contact-9", **updates, Channel="TASK"),
            contact(ContactId="contact-4"),
            contact(),
            name="later",
        ),
        **transcript,
        **_object("workcodes", hour, "later", work_code(GatewayTaskId="contact-4"), work_code()),
        **_object("usage", hour, "later", usage("2025-03-04T17:00:00Z", "LOGOUT")),
        **_object("agentevents", hour, "later", agent_event("2025-03-04T19:00:00Z", "", EventType="LOGOUT")),
    }


class Scene:
    """An archive in a directory, lakes of it that drivers write, and what they come to if nothing disturbs them.

    With `is_later`, a run has been before the last objects arrived: the next one merges updates into what there is, and
    replaces dates in gold. Otherwise it is the first one.
    """

    def __init__(self, spark: SparkSession, folder: Path, drivers: Drivers, *, is_later: bool = False) -> None:
        self.centre, self.folder, self.drivers = Centre(spark, folder), folder, drivers
        self.centre.arrives(first_archive())
        self.begin()
        if is_later:
            self._complete()
            (folder / "lake").rename(folder / "before")
            write_objects(folder, second_archive())
            self.begin()
        self.points = self._complete()
        """Where a run comes by that nothing disturbs."""
        self.undisturbed = self.facts()
        self.begin()

    def begin(self) -> None:
        """Puts the lake back to before the run."""
        shutil.rmtree(self.folder / "lake", ignore_errors=True)
        if (self.folder / "before").exists():
            shutil.copytree(self.folder / "before", self.folder / "lake")

    def _complete(self) -> tuple[str, ...]:
        ended = self.run()
        assert ended.code == 0, ended.log
        return ended.points

    def start(self, at: str | None = None, by: int = signal.SIGKILL) -> Driver:
        return self.drivers.start(self.config(), AS_OF, at, by)

    def run(self, at: str | None = None, delay: float = 0) -> Ended:
        return self.drivers.run(self.config(), AS_OF, at, delay)

    def config(self, bucket: Bucket | None = None, lease_seconds: int = 600) -> Path:
        """The configuration of the centre, with its lake in the directory or in a bucket."""
        root = f"{bucket.uri}/lake" if bucket else str(self.folder / "lake")
        lines = [
            "[lake]",
            f'root = "{root}"',
            'timezone = "America/Chicago"',
            f"[lock]\nlease_seconds = {lease_seconds}",
        ]
        feeds = [("symbee", "symbee", prefix) for prefix in SYMBEE_PREFIXES]
        feeds += [("symbee_transcript", "symbee", "ChatTranscripts/"), ("connect_contact", "connect", "connectCtrAcme")]
        for name, archive, prefix in feeds:
            lines += ["[[feed]]", f'name = "{name}"', f'archive = "{self.folder / archive}"', f'prefix = "{prefix}"']
            if name == "connect_contact":
                lines.append('environment = "abccompany/prod"')
        if bucket:
            lines += ["[storage.s3]", f'endpoint = "{bucket.options.endpoint}"', "path_style = true"]
            lines.append('region = "us-east-1"')
        file = self.folder / f"{bucket.name if bucket else 'directory'}.toml"
        file.write_text("\n".join(lines))
        return file

    def leases(self) -> list[Path]:
        return sorted((self.folder / "lake" / "_lease").glob("*.json"))

    def expire(self) -> None:
        """As if a long time had passed since the last lease was renewed, by the store's clock."""
        then = time.time() - 100_000
        os.utime(self.leases()[-1], (then, then))

    def is_released(self) -> bool:
        return json.loads(self.leases()[-1].read_text())["released"] is True

    def laid_down(self) -> list[str]:
        return sorted(str(path) for path in (self.folder / "lake" / "_landing").rglob("*.parquet"))

    def versions(self) -> dict[str, int | None]:
        return self.centre.reader().versions("silver", "gold", "ops")

    def facts(self) -> Facts:
        """All that the lake holds, but for what runs are called and when they were."""
        facts: Facts = {}
        for table in TABLES:
            columns = [
                column.name for column in table.columns if not column.is_volatile and column.name not in _OF_RUNS
            ]
            if table is not RUN:
                facts[table.path] = self.centre.rows(table, columns)
        facts[RUN.path] = self.complete_runs()
        return facts

    def complete_runs(self) -> list[Any]:
        return [
            (row["job"], row["status"], _plain(row["as_of"]), row["dates"], dict(row["newest_arrivals"]), summary)
            for row in self.centre.reader().lake.read_rows(RUN, RUN.column_names).sort_by("run_id").to_pylist()
            if row["status"] in COMPLETE
            for summary in [{**json.loads(row["summary"]), "run_id": None}]
        ]
