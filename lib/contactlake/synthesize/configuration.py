"""The configuration under which a synthesised archive is ingested."""

import json
from pathlib import Path

from contactlake.synthesize.centre import COMPANY, ENVIRONMENT
from contactlake.synthesize.layout import CONNECT, STREAMS, SYMBEE


def config_toml(out: Path, lake: Path, timezone: str) -> str:
    """The TOML of a configuration that names every feed of the archive below `out` and puts the lake at `lake`."""
    feeds = [("symbee", SYMBEE, stream.prefix, "") for stream in STREAMS.values() if stream.bucket == SYMBEE]
    feeds.append(("symbee_transcript", SYMBEE, "ChatTranscripts/", 'layout = "%Y/%m/%d/"\n'))
    feeds += [
        ("connect_contact", CONNECT, stream.prefix, f'environment = "{COMPANY}/{ENVIRONMENT}"\n')
        for stream in STREAMS.values()
        if stream.bucket == CONNECT
    ]
    head = f"[lake]\nroot = {_quoted(lake.as_posix())}\ntimezone = {_quoted(timezone)}\n"
    return head + "".join(
        f"\n[[feed]]\nname = {_quoted(name)}\narchive = {_quoted((out / bucket).as_posix())}\n"
        f"prefix = {_quoted(prefix)}\n{more}"
        for name, bucket, prefix, more in feeds
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
