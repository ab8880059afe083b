"""The configuration: what stands where nothing is said, and each error in one line that names the key."""

import copy
from pathlib import Path
from typing import Any

import pytest

from contactlake.config import load_configuration, parse_configuration
from contactlake.errors import ConfigurationError

MINIMAL: dict[str, Any] = {
    "lake": {"root": "build/lake", "timezone": "America/Chicago"},
    "feed": [{"name": "symbee", "archive": "s3://bucket", "prefix": "interactions/"}],
}


def changed(**changes: Any) -> dict[str, Any]:
    """`MINIMAL` with changes: `section__key=value`; `feed__key` changes the first feed."""
    values = copy.deepcopy(MINIMAL)
    for path, value in changes.items():
        section, _, key = path.partition("__")
        if not key:
            values[section] = value
        elif section == "feed":
            values["feed"][0][key] = value
        else:
            values.setdefault(section, {})[key] = value
    return values


def test_defaults() -> None:
    configuration = parse_configuration(MINIMAL, "x.toml")
    (feed,) = configuration.feed
    assert (feed.layout, feed.arrival_timezone, feed.environment) == ("%Y/%m/%d/%H/", "UTC", None)
    assert configuration.ingest.lookback_hours == 48
    assert configuration.ingest.max_decompressed_bytes == 1_073_741_824
    assert (configuration.privacy.customer_identifiers, configuration.privacy.attributes_keep) == ("drop", ())
    reconcile = configuration.reconcile
    assert (reconcile.tolerance_ms, reconcile.grace_hours, reconcile.span_days) == (3000, 24, 30)
    assert configuration.usage.heartbeat_timeout_minutes == 60
    assert configuration.service_level.thresholds_seconds == (20, 30, 60)
    assert (configuration.quality.max_quarantined_share, configuration.quality.max_missing_share) == (0.05, 0.05)
    assert configuration.quality.data_docs is None
    assert configuration.lock.lease_seconds == 120
    assert configuration.retention.silver is None
    assert configuration.storage.s3.endpoint is None


def test_a_transcript_feed_has_the_daily_layout() -> None:
    configuration = parse_configuration(changed(feed__name="symbee_transcript"), "x.toml")
    assert configuration.feed[0].layout == "%Y/%m/%d/"


@pytest.mark.parametrize(
    ("changes", "key", "wants"),
    [
        ({"lake__zone": "UTC"}, "lake.zone", "not a known key"),
        ({"surprise": {}}, "surprise", "not a known key"),
        ({"lake__timezone": "America/Chicgo"}, "lake.timezone", "IANA"),
        ({"lake__timezone": "../../etc/passwd"}, "lake.timezone", "IANA"),
        ({"lake__root": ""}, "lake.root", "directory"),
        ({"lake__root": "gs://bucket"}, "lake.root", "s3://bucket"),
        ({"lake__root": 3}, "lake.root", "string"),
        ({"feed__name": "symbi"}, "feed[0].name", "symbee"),
        ({"feed__layout": "%H/%d"}, "feed[0].layout", "%Y, %m, %d and %H"),
        ({"feed__arrival_timezone": "Mars"}, "feed[0].arrival_timezone", "IANA"),
        ({"feed__environment": ""}, "feed[0].environment", "at least 1"),
        ({"feed": []}, "feed", "at least 1"),
        ({"ingest__lookback_hours": "48"}, "ingest.lookback_hours", "integer"),
        ({"ingest__lookback_hours": -1}, "ingest.lookback_hours", "greater"),
        ({"ingest__lookback_hours": True}, "ingest.lookback_hours", "integer"),
        ({"privacy__customer_identifiers": "mask"}, "privacy.customer_identifiers", "drop"),
        ({"privacy__attributes_keep": ["a", 1]}, "privacy.attributes_keep[1]", "string"),
        ({"service_level__thresholds_seconds": []}, "service_level.thresholds_seconds", "at least 1"),
        ({"service_level__thresholds_seconds": [0]}, "service_level.thresholds_seconds[0]", "greater"),
        ({"quality__max_quarantined_share": 1.5}, "quality.max_quarantined_share", "less"),
        ({"lock__lease_seconds": 0}, "lock.lease_seconds", "greater"),
        ({"storage": {"s3": {"secret_key": "x"}}}, "storage.s3.secret_key", "not a known key"),
    ],
)
def test_an_error_names_the_key_and_what_it_wants(changes: dict[str, Any], key: str, wants: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_configuration(changed(**changes), "x.toml")
    message = str(raised.value)
    assert f"x.toml: {key} " in message
    assert wants in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["name", "archive", "prefix"])
def test_a_feed_lacks_what_it_must_have(key: str) -> None:
    values = changed()
    del values["feed"][0][key]
    with pytest.raises(ConfigurationError, match=rf"feed\[0\]\.{key} is missing"):
        parse_configuration(values, "x.toml")


def test_hashing_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    values = changed(privacy__customer_identifiers="hash")
    monkeypatch.delenv("CONTACTLAKE_PSEUDONYM_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="CONTACTLAKE_PSEUDONYM_KEY"):
        parse_configuration(values, "x.toml")
    monkeypatch.setenv("CONTACTLAKE_PSEUDONYM_KEY", "a key")
    assert parse_configuration(values, "x.toml").privacy.customer_identifiers == "hash"


def test_the_file_is_named_by_argument_or_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "contactlake.toml"
    file.write_text('[lake]\nroot = "lake"\ntimezone = "UTC"\n[[feed]]\nname = "symbee"\narchive = "a"\nprefix = ""\n')
    monkeypatch.delenv("CONTACTLAKE_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="--config"):
        load_configuration(None)
    monkeypatch.setenv("CONTACTLAKE_CONFIG", str(file))
    assert load_configuration(None) == load_configuration(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_configuration(tmp_path / "absent.toml")
    file.write_text("[lake\n")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        load_configuration(file)


def test_the_shipped_configurations_are_right() -> None:
    conf = Path(__file__).parents[2] / "conf"
    for name in ("local.toml", "s3.toml"):
        assert load_configuration(conf / name).lake.timezone == "America/Chicago"


def test_local_runs_need_no_s3_support() -> None:
    conf = Path(__file__).parents[2] / "conf"
    assert "hadoop-aws" not in (conf / "spark-defaults.conf").read_text()
    assert "hadoop-aws" in (conf / "s3" / "spark-defaults.conf").read_text()
