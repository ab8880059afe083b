"""The whole of a synthesis: its brief checked, its size settled, its stretches played by one process or several."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contactlake.errors import ConfigurationError
from contactlake.synthesize.centre import Centre
from contactlake.synthesize.layout import CONNECT, SYMBEE
from contactlake.synthesize.recorder import CONTACTS, INTERACTIONS, TYPES
from contactlake.synthesize.stretch import USUAL_INTERACTIONS, Brief, measure, stretches, write
from contactlake.synthesize.summary import Summary, Tally, summarise

OBJECT_BYTES = 4_000_000
_SAMPLED_AGENT_DAYS = 400


def synthesize(
    out: Path,
    *,
    start: date,
    days: int,
    agents: int,
    seed: int,
    timezone: str = "America/Chicago",
    faults: bool = True,
    types: frozenset[str] = frozenset(TYPES),
    interactions_per_agent_day: int = USUAL_INTERACTIONS,
    target_bytes: int | None = None,
    processes: int = 1,
    object_bytes: int = OBJECT_BYTES,
) -> Summary:
    """Write the archive of an invented contact centre below `out`: `symbee/…` and `connect/…`, one folder a bucket.

    Equal arguments give equal files, byte for byte, whatever the number of processes (with the same version of zlib).
    Without `faults` every record is well formed and is delivered once, in undelimited JSON, plain or in `.gz`. Without
    `transcripts` among the types, chats name no media location. With `target_bytes` the number of agents is chosen so
    that the interactions and contacts come to that many bytes of JSON, and `agents` is not used.

    Raises ConfigurationError for arguments that make no sense, or where `out` already holds an archive.
    """
    brief = Brief(
        out, start, days, agents, seed, timezone, faults, types, interactions_per_agent_day, max(object_bytes, 1)
    )
    _check(brief, processes, target_bytes)
    if target_bytes is not None:
        brief = replace(brief, agents=_agents_for(brief, target_bytes))
    return summarise(_tallies(brief, processes))


def _tallies(brief: Brief, processes: int) -> Iterator[Tally]:
    work = stretches(brief)
    if min(processes, len(work)) < 2:
        yield from map(write, work)
        return
    with ProcessPoolExecutor(min(processes, len(work)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(write, work)


def _check(brief: Brief, processes: int, target_bytes: int | None) -> None:
    least = {
        "days": brief.days,
        "agents": brief.agents,
        "interactions per agent and day": brief.interactions_per_agent_day,
        "processes": processes,
        "target bytes": 1 if target_bytes is None else target_bytes,
    }
    for name, value in least.items():
        if value < 1:
            raise ConfigurationError(f"{name}: {value} is too small", "give 1 or more")
    unknown = sorted(brief.types - set(TYPES))
    if unknown or not brief.types:
        raise ConfigurationError(f"types: {', '.join(unknown) or 'none given'}", f"choose from {', '.join(TYPES)}")
    if target_bytes is not None and not brief.types & {INTERACTIONS, CONTACTS}:
        raise ConfigurationError("a size needs interactions or contacts", "add one of them to the types")
    try:
        ZoneInfo(brief.timezone)
    except (ZoneInfoNotFoundError, ValueError) as unknown_zone:
        raise ConfigurationError(f"timezone: {brief.timezone!r} is unknown", "give an IANA name") from unknown_zone
    for bucket in (SYMBEE, CONNECT):
        if (brief.out / bucket).exists():
            raise ConfigurationError(f"{brief.out} already holds an archive", "choose another directory, or remove it")


def _agents_for(brief: Brief, target_bytes: int) -> int:
    """How many agents it takes, by the weight of the first teams' days."""
    endless = replace(brief, agents=10**9)
    agent_days, weight, turn = 0, 0, 0
    while weight < target_bytes and agent_days < _SAMPLED_AGENT_DAYS:
        present, tally = measure(endless, turn % brief.days, turn // brief.days)
        agent_days += present
        weight += tally.bytes_by_type[INTERACTIONS] + tally.bytes_by_type[CONTACTS]
        turn += 1
    wanted = target_bytes * agent_days / max(weight, 1)
    centre = Centre(brief.seed, endless.agents, ZoneInfo(brief.timezone))
    weekdays = [(brief.start + timedelta(days=day)).weekday() for day in range(brief.days)]
    week = [
        sum(weekday not in agent.off_days for weekday in weekdays)
        for agent in (centre.agent(i, ("", "null")) for i in range(7))
    ]
    agents = max(int(wanted / sum(week)) - 1, 0) * 7
    reached = agents // 7 * sum(week)
    while reached + week[agents % 7] / 2 <= wanted:
        reached += week[agents % 7]
        agents += 1
    return max(agents, 1)
