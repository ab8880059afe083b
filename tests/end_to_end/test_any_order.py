"""In whatever order and parts, and whatever goes wrong meanwhile: the lake is a function of the archive's records."""

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from tests.centre import Centre, assert_same_lake

from contactlake.feeds import FEEDS
from contactlake.synthesize.stretch import USUAL_INTERACTIONS
from contactlake.synthesize.synthesis import synthesize
from contactlake.tables.ops import INGEST_COUNT, QUARANTINE

FIRST, DAYS = date(2025, 3, 8), 2  # clocks go forward in Chicago in the second night
BEGIN, END = datetime(2025, 3, 11, tzinfo=UTC), datetime(2025, 3, 16, tzinfo=UTC)
AT_ONCE = "at-once"
FAILING = (
    "contactlake.run.find_change",
    "contactlake.run.write_change",
    "contactlake.run.write_accounts",
    "contactlake.run.write_conformed",
    "contactlake.run.judge_and_report",
    "contactlake.run.publish",
    "contactlake.tenure.write_run",
)
"""What is done in between the writes of a run."""


@pytest.fixture(scope="module")
def whole(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Centre:
    """Two days with the faults that archives have, and the lake that one run made of them."""
    root = tmp_path_factory.mktemp("whole") / "archive"
    synthesize(
        root, start=FIRST, days=DAYS, agents=3, seed=11, timezone="America/Chicago",
        interactions_per_agent_day=USUAL_INTERACTIONS // 2,
    )  # fmt: skip
    centre = Centre(spark, root)
    centre.run(END.isoformat(), lake=AT_ONCE, **_options())
    return centre


def _options(**quality: float) -> dict[str, Any]:
    generous = {"max_quarantined_share": 1.0, **quality}
    return {"sections": {"quality": generous, "ingest": {"lookback_hours": 400}}, "with_transcripts": True}


class Growing:
    """A copy of an archive that comes in parts, and what is done meanwhile."""

    def __init__(self, whole: Centre, root: Path, random: Random) -> None:
        self.centre = Centre(whole.spark, root)
        self._archive = whole.root
        self._random = random
        self._left = [path for feed in ("symbee", "connect") for path in sorted((whole.root / feed).rglob("*"))]
        self._left = [path for path in self._left if path.is_file()]
        random.shuffle(self._left)
        self._arrived: list[Path] = []
        self._now = BEGIN

    def arrive(self, number: int | None = None) -> None:
        """So many objects more, or all that are left; some of those that are there come once more."""
        arriving, self._left = self._left[:number], [] if number is None else self._left[number:]
        for source in arriving:
            self._put(source.relative_to(self._archive), source.read_bytes())
        for source in self._random.sample(self._arrived, min(len(self._arrived), 5)):
            key = source.relative_to(self._archive)
            if "ChatTranscripts" not in key.parts:  # a transcript's name is its key
                self._put(key.with_name(f"again-{self._random.getrandbits(32):x}-{key.name}"), source.read_bytes())
        self._arrived += arriving

    def _put(self, key: Path, content: bytes) -> None:
        file = self.centre.root / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def run(self, job: str = "daily", *, accepted: float = 1.0, **options: Any) -> str:
        self._now += timedelta(minutes=self._random.randrange(1, 600))
        now = min(self._now, END).isoformat()
        return self.centre.run(now, job, **options, **_options(max_quarantined_share=accepted)).verdict

    def dates(self) -> tuple[date, date]:
        first, last = sorted(self._random.choices(range(-1, DAYS + 1), k=2))
        return FIRST + timedelta(days=first), FIRST + timedelta(days=last)

    def crash(self, job: str = "daily") -> None:
        """A run that fails, unless it does not get there."""
        name = self._random.choice(FAILING)
        note(f"fails in {name}")

        def fail(*_: Any, **__: Any) -> Any:
            raise RuntimeError(name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(name, fail)
            try:
                self.run(job)
            except RuntimeError as fault:
                assert str(fault) == name

    def finish(self) -> None:
        self.arrive()
        self._now = END
        assert self.run() == "passed"


DOINGS: dict[str, Callable[[Growing], object]] = {
    "daily": lambda growing: growing.run(),
    "ingest": lambda growing: growing.run("ingest"),
    "ingest and reconcile": lambda growing: (growing.run("ingest"), growing.run("reconcile")),
    "measure": lambda growing: growing.run("measure"),
    "some dates": lambda growing: growing.run(dates=growing.dates()),
    "reconcile some dates": lambda growing: growing.run("reconcile", dates=growing.dates()),
    "everything": lambda growing: growing.run(is_full=True),
    "the gate's refusal": lambda growing: growing.run(accepted=0.0),
    "a failure": lambda growing: growing.crash(),
    "a failing ingest": lambda growing: growing.crash("ingest"),
}


@pytest.mark.timeout(1800)  # some twenty runs
@settings(
    max_examples=2,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink a failure would take hours
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(
    doings=st.lists(st.sampled_from(sorted(DOINGS)), min_size=3, max_size=6),
    seed=st.integers(min_value=0, max_value=2**32 - 1),
)
def test_any_sequence_ends_as_one_run(
    whole: Centre, tmp_path_factory: pytest.TempPathFactory, doings: list[str], seed: int
) -> None:
    root = tmp_path_factory.mktemp("growing")
    growing = Growing(whole, root, Random(seed))
    for doing in doings:
        note(doing)
        growing.arrive(50)
        DOINGS[doing](growing)
    growing.finish()
    shutil.copytree(whole.root / AT_ONCE, root / AT_ONCE)
    assert_same_lake(growing.centre, "lake", AT_ONCE)
    assert growing.centre.pending() == whole.pending(AT_ONCE)
    assert_every_record_counted_once(growing.centre)
    shutil.rmtree(root)


def assert_every_record_counted_once(centre: Centre) -> None:
    inserted: Counter[str] = Counter()
    quarantined = 0
    for row in centre.rows(INGEST_COUNT):
        kept = row["inserted"] + row["updated"] + row["duplicate"] + row["ignored"]
        assert row["records"] == kept + row["quarantined"], row
        inserted[row["record_type"]] += row["inserted"]
        quarantined += row["quarantined"]
    for feed in FEEDS:
        for record_type in feed.record_types:
            assert inserted[record_type.name] == len(centre.rows(record_type.table)), record_type.name
    assert quarantined == len(centre.rows(QUARANTINE))
