"""One stretch of the work: some teams on one day. No stretch knows of another, so that any process may do any."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from contactlake.synthesize.centre import Agent, Centre
from contactlake.synthesize.dice import Dice
from contactlake.synthesize.floor import Floor
from contactlake.synthesize.instants import Stamps, local_second
from contactlake.synthesize.mishaps import Untidy, UntidyPacking, UntidyRecorder, litter
from contactlake.synthesize.outbox import CleanPacking, Outbox, Scales
from contactlake.synthesize.recorder import Recorder
from contactlake.synthesize.shift import Shift
from contactlake.synthesize.summary import Tally
from contactlake.synthesize.unattended import play_unattended
from contactlake.synthesize.workday import play

USUAL_INTERACTIONS = 35
PODS_PER_STRETCH = 40
_SHIFT_MINUTES = 480
_LITTER_MINUTE = 11 * 60
"""The local minute of the day beside whose objects the litter lies."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What is to be synthesised."""

    out: Path
    start: date
    days: int
    agents: int
    seed: int
    timezone: str
    faults: bool
    types: frozenset[str]
    interactions_per_agent_day: int
    object_bytes: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """The teams `pods` of a day, counted from the first."""

    brief: Brief
    day: int
    pods: range


def stretches(brief: Brief) -> list[Stretch]:
    """The whole work, cut in a way that depends on the brief alone."""
    pods = _centre(brief).pods
    return [
        Stretch(brief, day, range(first, min(first + PODS_PER_STRETCH, pods)))
        for day in range(brief.days)
        for first in range(0, pods, PODS_PER_STRETCH)
    ]


def write(stretch: Stretch) -> Tally:
    """Play the stretch and write its objects."""
    brief = stretch.brief
    centre, day = _centre(brief), brief.start + timedelta(days=stretch.day)
    dice = Dice(f"{brief.seed}|{day.isoformat()}|{stretch.pods.start}")
    tally = Tally()
    packing = UntidyPacking(dice, tally.faults) if brief.faults else CleanPacking()
    outbox = Outbox(brief.out, dice, packing, brief.object_bytes, tally)
    _play_pods(brief, centre, day, stretch.pods, outbox, dice)
    outbox.close()
    if brief.faults and stretch.pods.start == 0:
        litter(outbox, brief.types, local_second(day, _LITTER_MINUTE, centre.zone) // 3600, dice)
    return tally


def measure(brief: Brief, day: int, pod: int) -> tuple[int, Tally]:
    """How many agents of a team work on a day, and what their day comes to; nothing is written."""
    centre, date_of_day = _centre(brief), brief.start + timedelta(days=day)
    dice = Dice(f"{brief.seed}|{date_of_day.isoformat()}|measure")
    outbox = Scales(brief.out, dice, CleanPacking(), brief.object_bytes, Tally())
    _play_pods(brief, centre, date_of_day, range(pod, pod + 1), outbox, dice)
    outbox.close()
    return len(centre.members(pod, date_of_day.weekday())), outbox.tally


def _centre(brief: Brief) -> Centre:
    return Centre(brief.seed, brief.agents, ZoneInfo(brief.timezone))


def _play_pods(brief: Brief, centre: Centre, day: date, pods: range, outbox: Outbox, dice: Dice) -> None:
    stamps = Stamps()
    recorder = Recorder(centre, brief.types, outbox, stamps)
    if brief.faults:
        recorder = UntidyRecorder(centre, brief.types, Untidy(outbox, dice), stamps, dice, outbox.tally.faults)
    pace = USUAL_INTERACTIONS / brief.interactions_per_agent_day
    for pod in pods:
        _play_pod(Floor(centre, day, pod, Dice(f"{brief.seed}|{day.isoformat()}|pod {pod}"), recorder, stamps, pace))


def _play_pod(floor: Floor) -> None:
    members = floor.centre.members(floor.pod, floor.day.weekday())
    for place, agent in enumerate(members, 1):
        play(_shift(floor, agent, has_successors=place < len(members)))
    play_unattended(floor, len(members))


def _shift(floor: Floor, agent: Agent, *, has_successors: bool) -> Shift:
    zone = floor.centre.zone
    jitter = floor.dice.between(-480_000, 480_000)
    begin = local_second(floor.day, agent.shift_start, zone) * 1000 + jitter
    end = local_second(floor.day, agent.shift_start + _SHIFT_MINUTES, zone) * 1000 + jitter
    return Shift(floor, agent, begin, end, has_successors)
