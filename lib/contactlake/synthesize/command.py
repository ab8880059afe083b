"""The command line of a synthesis."""

import argparse
from datetime import date
from pathlib import Path

from contactlake.synthesize.recorder import TYPES
from contactlake.synthesize.stretch import USUAL_INTERACTIONS
from contactlake.synthesize.summary import Summary
from contactlake.synthesize.synthesis import OBJECT_BYTES, synthesize


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that `run` takes."""
    parser.add_argument("--out", type=Path, required=True, help="the directory to write the archive to")
    parser.add_argument(
        "--start", type=date.fromisoformat, default=date(2025, 3, 7), help="the first day (default 2025-03-07)"
    )
    parser.add_argument("--days", type=int, default=2, help="how many days (default 2)")
    parser.add_argument(
        "--agents", type=int, default=12, help="how many are employed; five of seven work on a day (default 12)"
    )
    parser.add_argument("--seed", type=int, default=7, help="equal seeds give equal archives (default 7)")
    parser.add_argument("--timezone", default="America/Chicago", help="where the centre is (default America/Chicago)")
    parser.add_argument("--clean", action="store_true", help="every record well formed, delivered once and on time")
    parser.add_argument(
        "--types", type=_types, default=frozenset(TYPES), help=f"some of {','.join(TYPES)} (default all)"
    )
    parser.add_argument(
        "--interactions-per-agent-day",
        type=int,
        default=USUAL_INTERACTIONS,
        help="about how many (default %(default)s)",
    )
    parser.add_argument("--gigabytes", type=float, help="of interactions and contacts, by as many agents as that takes")
    parser.add_argument("--processes", type=int, default=1, help="how many processes write (default 1)")
    parser.add_argument(
        "--object-bytes", type=int, default=OBJECT_BYTES, help="of JSON in the largest object (default %(default)s)"
    )


def run(args: argparse.Namespace) -> Summary:
    """Write the archive that the arguments ask for."""
    return synthesize(
        args.out,
        start=args.start,
        days=args.days,
        agents=args.agents,
        seed=args.seed,
        timezone=args.timezone,
        faults=not args.clean,
        types=args.types,
        interactions_per_agent_day=args.interactions_per_agent_day,
        target_bytes=None if args.gigabytes is None else int(args.gigabytes * 1e9),
        processes=args.processes,
        object_bytes=args.object_bytes,
    )


def _types(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())
