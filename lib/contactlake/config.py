"""The configuration: TOML into one frozen, validated object."""

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from contactlake.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_VARIABLE = "CONTACTLAKE_CONFIG"
PSEUDONYM_KEY_VARIABLE = "CONTACTLAKE_PSEUDONYM_KEY"

FeedName = Literal[
    "symbee", "symbee_transcript", "connect_contact", "vonage", "buzzeasy", "expertflow", "salesforce_voice"
]
_DEFAULT_LAYOUTS = {"symbee_transcript": "%Y/%m/%d/"}
_NO_CREDENTIALS = "which come from the standard AWS chain alone: environment, profile or instance role"
_LAYOUT_FIELDS = ("%Y", "%m", "%d", "%H")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}, give an IANA name such as America/Chicago") from None
    return name


def _location(value: str) -> str:
    if not value:
        raise ValueError("is empty, give a directory or s3://bucket/prefix")
    if re.match(r"[a-z0-9+.-]+://[^/]*@", value):
        raise ValueError(f"holds credentials before the @, {_NO_CREDENTIALS}")
    if re.match(r"[a-z0-9+.-]+://", value) and not re.match(r"s3://[^/]+", value):
        raise ValueError(f"{value!r} is neither a directory nor s3://bucket/prefix")
    return value


def _endpoint(value: str) -> str:
    try:
        address = urlsplit(value)
        is_address = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError("is no address, give http://host:port or https://host")
    if "@" in address.netloc or address.query or address.fragment:
        raise ValueError(f"holds credentials or more than an address, {_NO_CREDENTIALS}")
    return value


def _layout(value: str) -> str:
    fields = re.findall(r"%.", value)
    if fields != list(_LAYOUT_FIELDS[: len(fields)]):
        raise ValueError(
            f"{value!r} is no layout: give %Y, %m, %d and %H, each once and in this order, or as many of them"
        )
    return value


TimeZone = Annotated[str, AfterValidator(_zone)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Location = Annotated[str, AfterValidator(_location)]
Layout = Annotated[str, AfterValidator(_layout)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LakeSection(_Section):
    """Where the tables lie, and whose calendar they are counted by."""

    root: Location = Field(description="A directory, or `s3://bucket/prefix`.")
    timezone: TimeZone = Field(description="The IANA name of the zone that business dates are in.")


class FeedSection(_Section):
    """One place of the archive that holds one kind of record. A name may occur more than once."""

    name: FeedName = Field(
        description="Which kind of record. `vonage`, `buzzeasy`, `expertflow` and `salesforce_voice` are known names"
        " that this version cannot read yet."
    )
    archive: Location = Field(description="The bucket as `s3://bucket`, or a directory.")
    prefix: str = Field(
        description="The key prefix, verbatim, as typed into Firehose; it need not end in a slash, and may be empty."
    )
    layout: Layout = Field(
        default="%Y/%m/%d/%H/",
        description="The time that follows the prefix in a key; `%Y/%m/%d/` by default for `symbee_transcript`."
        " Empty: everything below the prefix is listed on every run.",
    )
    environment: str | None = Field(
        default=None,
        min_length=1,
        description="The environment that the feed serves, `company/environment`. Not for Symbee's feeds, whose"
        " records name it; a contact feed without it goes by its Amazon Connect instance id.",
    )
    arrival_timezone: TimeZone = Field(
        default="UTC", description="The zone of the hours in the layout, if Firehose was given another than UTC."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_layout(cls, values: Any) -> Any:
        if isinstance(values, dict) and "layout" not in values and values.get("name") in _DEFAULT_LAYOUTS:
            return {**values, "layout": _DEFAULT_LAYOUTS[values["name"]]}
        return values

    @property
    def tells_hours(self) -> bool:
        """Whether an arrival is told to the hour: by the key, or by the modification where keys tell nothing."""
        return "%H" in self.layout or not self.layout

    @property
    def mark_key(self) -> str:
        """What names this entry among those of one feed."""
        return f"{self.name} {self.archive} {self.prefix}"


class IngestSection(_Section):
    """How the archive is read."""

    lookback_hours: int = Field(
        default=48,
        ge=0,
        description="A run without dates lists from this long before the newest arrival that it has seen; an object"
        " that is written later still is found by `--full` or by `--from` and `--to`.",
    )
    max_decompressed_bytes: int = Field(
        default=1_073_741_824, gt=0, description="An object whose text is longer is quarantined as `UNREADABLE_OBJECT`."
    )


class PrivacySection(_Section):
    """What is stored of customers."""

    customer_identifiers: Literal["drop", "hash", "keep"] = Field(
        default="drop",
        description="What becomes of far_end_address, transferred_to_address, customer_endpoint,"
        " transferred_to_endpoint and the text of quarantined records; see [privacy.md](privacy.md). `hash`:"
        " HMAC-SHA-256 under the key in `CONTACTLAKE_PSEUDONYM_KEY`.",
    )
    attributes_keep: tuple[str, ...] = Field(
        default=(), strict=False, description="The attribute keys that are stored; every other attribute is dropped."
    )


class ReconcileSection(_Section):
    """When an interaction and a contact agree, and how long each may wait for the other."""

    tolerance_ms: int = Field(default=3000, ge=0, description="Times and durations this close are equal.")
    grace_hours: int = Field(
        default=24, ge=0, description="How long a missing counterpart is awaited before it counts as missing."
    )
    span_days: int = Field(
        default=30,
        ge=0,
        description="An interaction and a contact whose initiations are further apart are never joined; they are"
        " counted by a warning of the quality gate.",
    )


class UsageSection(_Section):
    """Usage sessions, in `gold/user_usage_daily`."""

    heartbeat_timeout_minutes: int = Field(
        default=60, gt=0, description="A longer silence between two usage events ends the session at the first."
    )


class ServiceLevelSection(_Section):
    """The thresholds of `gold/service_level_daily`."""

    thresholds_seconds: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        default=(20, 30, 60), strict=False, min_length=1, description="One row per visit group and threshold."
    )


class QualitySection(_Section):
    """The limits of the quality gate, and where its report goes."""

    max_quarantined_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Of a feed's records since the last publication, judged from 100 records on. Above it the gate"
        " fails.",
    )
    max_missing_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="`MISSING_* / (MATCHED* + MISSING_*)` of a date that is over, the grace too, and on which nothing"
        " is awaited any more. Above it there is a warning.",
    )
    data_docs: Location | None = Field(
        default=None,
        description="Where the report is put, a directory or `s3://bucket/prefix`; by default `<root>/data_docs`.",
    )


class LockSection(_Section):
    """The lease that keeps a second writer away."""

    lease_seconds: int = Field(
        default=120, gt=0, description="A run that has not renewed its lease for this long has lost the lake."
    )


class RetentionSection(_Section):
    """Days that rows are kept, absent: for good. `contactlake expire` deletes what is older."""

    silver: int | None = Field(default=None, gt=0, description="Silver tables, by business date or what dates the row.")
    gold: int | None = Field(
        default=None, gt=0, description="Gold tables, by business date. Figures stay though silver has expired."
    )
    quarantine: int | None = Field(default=None, gt=0, description="`ops/quarantine`, by when the record was refused.")


class S3Section(_Section):
    """Only for S3-compatible servers. Credentials come from the standard AWS chain, never from here."""

    endpoint: Endpoint | None = Field(
        default=None, description="The server's address, such as `http://127.0.0.1:8333`."
    )
    path_style: bool = Field(default=False, description="The bucket stands in the path, not in the host's name.")
    region: str | None = Field(default=None, description="The region, where the AWS chain names none.")


class StorageSection(_Section):
    s3: S3Section = S3Section()


class Configuration(_Section):
    """Everything a run is told besides its command line. Paths are relative to the current directory."""

    lake: LakeSection
    feed: tuple[FeedSection, ...] = Field(strict=False, min_length=1)
    ingest: IngestSection = IngestSection()
    privacy: PrivacySection = PrivacySection()
    reconcile: ReconcileSection = ReconcileSection()
    usage: UsageSection = UsageSection()
    service_level: ServiceLevelSection = ServiceLevelSection()
    quality: QualitySection = QualitySection()
    lock: LockSection = LockSection()
    retention: RetentionSection = RetentionSection()
    storage: StorageSection = StorageSection()


def load_configuration(file: Path | None) -> Configuration:
    """The configuration in `file`, else in the file that CONTACTLAKE_CONFIG names.

    Raises `ConfigurationError`, in one line that names the key and what it wants.
    """
    if file is None:
        named = os.environ.get(CONFIG_VARIABLE)
        if not named:
            raise ConfigurationError("no configuration is given", f"pass --config FILE or set {CONFIG_VARIABLE}")
        file = Path(named)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigurationError(
            f"--config {file} cannot be read ({fault.strerror})", "name a readable TOML file"
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"--config {file} is not TOML ({fault})", "mend it at that place") from fault
    return parse_configuration(values, str(file))


def parse_configuration(values: dict[str, Any], name: str) -> Configuration:
    """`values`, as TOML gives them, validated; `name` is the file's, for the error."""
    try:
        configuration = Configuration.model_validate(values)
    except ValidationError as fault:
        raise _explained(fault, name) from None
    if configuration.privacy.customer_identifiers == "hash" and not os.environ.get(PSEUDONYM_KEY_VARIABLE):
        raise ConfigurationError(
            f'{name}: privacy.customer_identifiers = "hash" needs a key',
            f"set {PSEUDONYM_KEY_VARIABLE} in the environment, or choose drop or keep",
        )
    return configuration


def _explained(fault: ValidationError, name: str) -> ConfigurationError:
    """The first fault in one line, with how many more there are; these are its `others`."""
    found = fault.errors(include_url=False)
    within = {each["loc"][:length] for each in found for length in range(len(each["loc"]))}
    faults = [
        _explain(each, name) for each in found if each["loc"] not in within
    ]  # a list of wrong items is also short
    problem, remedy = faults[0]
    first = ConfigurationError(problem + (f" ({len(faults) - 1} more)" if len(faults) > 1 else ""), remedy)
    first.others = tuple(ConfigurationError(*other) for other in faults[1:])
    return first


def _explain(fault: "ErrorDetails", name: str) -> tuple[str, str]:
    """The key as it stands in TOML, and what it wants."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
    if fault["type"] == "missing":
        return f"{name}: {key} is missing", "it must be given"
    if fault["type"] == "extra_forbidden":
        return f"{name}: {key} is not a known key", "remove it or mend its spelling"
    now = repr(fault["input"])
    may_be_secret = "@" in now or fault["loc"][0] == "storage"  # where somebody may have put a credential
    wanted = fault["msg"].removeprefix("Value error, ")
    return f"{name}: {key} is wrong: {wanted}", "mend it" if may_be_secret else f"it is now {now}"
