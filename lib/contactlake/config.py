"""The configuration: TOML into one frozen, validated object."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from contactlake.errors import ConfigurationError

CONFIG_VARIABLE = "CONTACTLAKE_CONFIG"
PSEUDONYM_KEY_VARIABLE = "CONTACTLAKE_PSEUDONYM_KEY"

FeedName = Literal[
    "symbee", "symbee_transcript", "connect_contact", "vonage", "buzzeasy", "expertflow", "salesforce_voice"
]
_DEFAULT_LAYOUTS = {"symbee_transcript": "%Y/%m/%d/"}
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
    if re.match(r"[a-z0-9+.-]+://", value) and not re.match(r"s3://[^/]+", value):
        raise ValueError(f"{value!r} is neither a directory nor s3://bucket/prefix")
    return value


def _layout(value: str) -> str:
    fields = re.findall(r"%.", value)
    if fields != list(_LAYOUT_FIELDS[: len(fields)]):
        raise ValueError(f"{value!r} is no layout: give %Y, %m, %d and %H, each once and in this order, or as many of them")
    return value


TimeZone = Annotated[str, AfterValidator(_zone)]
Location = Annotated[str, AfterValidator(_location)]
Layout = Annotated[str, AfterValidator(_layout)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LakeSection(_Section):
    root: Location
    timezone: TimeZone


class FeedSection(_Section):
    """One place of the archive that holds one kind of record."""

    name: FeedName
    archive: Location
    prefix: str
    layout: Layout = "%Y/%m/%d/%H/"
    environment: str | None = Field(default=None, min_length=1)
    arrival_timezone: TimeZone = "UTC"

    @model_validator(mode="before")
    @classmethod
    def _default_layout(cls, values: Any) -> Any:
        if isinstance(values, dict) and "layout" not in values and values.get("name") in _DEFAULT_LAYOUTS:
            return {**values, "layout": _DEFAULT_LAYOUTS[values["name"]]}
        return values

    @property
    def mark_key(self) -> str:
        """What names this entry among those of one feed."""
        return f"{self.name} {self.archive} {self.prefix}"


class IngestSection(_Section):
    lookback_hours: int = Field(default=48, ge=0)
    max_decompressed_bytes: int = Field(default=1_073_741_824, gt=0)


class PrivacySection(_Section):
    customer_identifiers: Literal["drop", "hash", "keep"] = "drop"
    attributes_keep: tuple[str, ...] = Field(default=(), strict=False)


class ReconcileSection(_Section):
    tolerance_ms: int = Field(default=3000, ge=0)
    grace_hours: int = Field(default=24, ge=0)
    span_days: int = Field(default=30, ge=0)


class UsageSection(_Section):
    heartbeat_timeout_minutes: int = Field(default=60, gt=0)


class ServiceLevelSection(_Section):
    thresholds_seconds: tuple[Annotated[int, Field(gt=0)], ...] = Field(default=(20, 30, 60), strict=False, min_length=1)


class QualitySection(_Section):
    max_quarantined_share: float = Field(default=0.05, ge=0, le=1)
    max_missing_share: float = Field(default=0.05, ge=0, le=1)
    data_docs: Location | None = None


class LockSection(_Section):
    lease_seconds: int = Field(default=120, gt=0)


class RetentionSection(_Section):
    silver: int | None = Field(default=None, gt=0)
    gold: int | None = Field(default=None, gt=0)
    quarantine: int | None = Field(default=None, gt=0)


class S3Section(_Section):
    endpoint: str | None = None
    path_style: bool = False
    region: str | None = None


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
        raise ConfigurationError(*_explain(fault, name)) from None
    if configuration.privacy.customer_identifiers == "hash" and not os.environ.get(PSEUDONYM_KEY_VARIABLE):
        raise ConfigurationError(
            f'{name}: privacy.customer_identifiers = "hash" needs a key',
            f"set {PSEUDONYM_KEY_VARIABLE} in the environment, or choose drop or keep",
        )
    return configuration


def _explain(fault: ValidationError, name: str) -> tuple[str, str]:
    """The first fault in one line: the key as it stands in TOML, and what it wants."""
    first = fault.errors(include_url=False)[0]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    more = f" ({fault.error_count() - 1} more)" if fault.error_count() > 1 else ""
    if first["type"] == "missing":
        return f"{name}: {key} is missing{more}", "it must be given"
    if first["type"] == "extra_forbidden":
        return f"{name}: {key} is not a known key{more}", "remove it or mend its spelling"
    wanted = first["msg"].removeprefix("Value error, ")
    return f"{name}: {key} is wrong: {wanted}{more}", f"it is now {first['input']!r}"
