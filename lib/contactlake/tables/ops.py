"""Ops tables: what was read, what was refused, what is owed, what was checked, what ran."""

from contactlake.tables.declaration import Check, Column, Table, boolean, count, date, instant, text

REASONS = (
    "UNDECODABLE",
    "NOT_AN_OBJECT",
    "UNKNOWN_TYPE",
    "MISSING_VALUE",
    "BAD_VALUE",
    "NEGATIVE_DURATION",
    "UNREADABLE_OBJECT",
)

COUNTS = ("inserted", "updated", "duplicate", "ignored", "quarantined")
"""What becomes of a record: exactly one of these."""

RUN = Table(
    layer="ops",
    name="run",
    description="One row per run that ended, with the versions its readers may rely on.",
    key=("run_id",),
    columns=(
        text("run_id", "The run.", required=True),
        text(
            "job", "ingest, reconcile, measure or daily; or the care command: forget, expire, maintain.", required=True
        ),
        instant("as_of", "The run's clock.", required=True),
        instant("started_at", "When it began, by the host's clock.", required=True),
        instant("finished_at", "When it ended, by the host's clock.", required=True),
        text("status", "How it ended.", required=True, values=("SUCCEEDED", "GATE_FAILED", "FAILED")),
        Column("dates", "array<date>", "The business dates that it recomputed."),
        Column("table_versions", "map<string,bigint>", "Every table of the lake and its version when the run ended."),
        Column("newest_arrivals", "map<string,timestamp>", "Per feed entry, the newest arrival that it listed."),
        Column("steps", "array<struct<step:string,seconds:double>>", "Where the time went."),
        Column("summary", "string", "The run's summary, as it was printed."),
    ),
)

INGESTED_OBJECT = Table(
    layer="ops",
    name="ingested_object",
    description="The ledger: one row per archive object that was read.",
    key=("feed", "object", "etag"),
    statistics=("feed", "arrival_at"),
    columns=(
        text("feed", "The feed's name.", required=True),
        text("object", "The object.", required=True),
        text("etag", "The version of the object that was read.", required=True),
        count("bytes", "Its size as stored.", required=True),
        count("records", "Records in it.", required=True),
        count("quarantined", "Of these, quarantined.", required=True),
        instant("arrival_at", "When it arrived: the hour in its key, else its modification.", required=True),
        text("run_id", "The run that read it.", required=True),
        instant("ingested_at", "That run's as-of instant.", required=True),
    ),
)

INGEST_COUNT = Table(
    layer="ops",
    name="ingest_count",
    description="The conservation of records: one row per run, feed and record type.",
    key=("run_id", "feed", "record_type"),
    columns=(
        text("run_id", "The run.", required=True),
        text("feed", "The feed's name.", required=True),
        text("record_type", "The record's type in its feed; `(unknown)` where it could not be told.", required=True),
        count("objects", "Objects that held such records.", required=True),
        count("records", "Records read.", required=True),
        count("inserted", "New keys.", required=True),
        count("updated", "Winners of the run that replaced an older version in the lake.", required=True),
        count("duplicate", "Every other good record.", required=True),
        count("ignored", "Of a kind that the feed leaves out.", required=True),
        count("quarantined", "Refused; see quarantine.", required=True),
    ),
    checks=(
        Check(
            "records are conserved",
            f"records = {' + '.join(COUNTS)}",
        ),
    ),
)

PENDING_DATE = Table(
    layer="ops",
    name="pending_date",
    description="Business dates that are owed to gold.",
    key=("business_date",),
    columns=(
        date("business_date", "The date.", required=True),
        text("since_run", "The run that first touched it since it was published.", required=True),
    ),
)

QUARANTINE = Table(
    layer="ops",
    name="quarantine",
    description="One row per record that was refused, and why.",
    key=("feed", "object", "ordinal", "record_sha256"),
    statistics=("feed", "arrival_at"),
    columns=(
        text("feed", "The feed's name.", required=True),
        text("object", "The object.", required=True),
        Column("ordinal", "int", "The record's position in the object; -1 for the object as a whole."),
        text("record_type", "The record's type, where it could be told."),
        text("reason", "Why it was refused.", required=True, values=REASONS),
        text("detail", "The field or the fault; never a value."),
        text("raw", "The record's text, as `[privacy]` allows: kept, hashed or null.", identifier=True),
        text("record_sha256", "SHA-256 of the record's bytes, hex.", required=True),
        count("bytes", "The length of the record's text.", required=True),
        instant("arrival_at", "When the object arrived.", required=True),
        text("run_id", "The run that refused it.", required=True),
        instant("quarantined_at", "That run's as-of instant.", required=True),
    ),
)

QUALITY_RESULT = Table(
    layer="ops",
    name="quality_result",
    description="One row per run and expectation.",
    key=("run_id", "table", "expectation"),
    columns=(
        text("run_id", "The run.", required=True),
        text("table", "The table that was judged.", required=True),
        text("expectation", "The expectation, as `--accept` names it.", required=True),
        text("severity", "critical or warning; accepted: a critical one that --accept let pass.", required=True),
        boolean("is_success", "Whether it was met.", required=True),
        text("observed", "The figure, and what it counts; of an accepted one, who accepted it. Never a customer's."),
        instant("checked_at", "The run's as-of instant.", required=True),
    ),
)

OPS_TABLES = (RUN, INGESTED_OBJECT, INGEST_COUNT, PENDING_DATE, QUARANTINE, QUALITY_RESULT)
