"""The configuration: what it is by default, and the one line that says what is wrong with it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contactlake.config import CONFIG_VARIABLE, PSEUDONYM_KEY_VARIABLE, Configuration, load_configuration
from contactlake.errors import ConfigurationError

LAKE = '[lake]\nroot = "build/lake"\ntimezone = "America/Chicago"\n'
FEED = '[[feed]]\nname = "symbee"\narchive = "archive"\nprefix = "interactions/"\n'
Load = Callable[[str], Configuration]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.delenv(PSEUDONYM_KEY_VARIABLE, raising=False)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_(text: str) -> Configuration:
        file = tmp_path / "lake.toml"
        file.write_text(text, encoding="utf-8")
        return load_configuration(file)

    return load_


class TestDefaults:
    def test_are_those_of_the_documentation(self, load: Load) -> None:
        assert load(LAKE + FEED).model_dump() == {
            "lake": {"root": "build/lake", "timezone": "America/Chicago"},
            "feed": (
                {
                    "name": "symbee",
                    "archive": "archive",
                    "prefix": "interactions/",
                    "layout": "%Y/%m/%d/%H/",
                    "environment": None,
                    "arrival_timezone": "UTC",
                },
            ),
            "ingest": {"lookback_hours": 48, "max_decompressed_bytes": 1_073_741_824},
            "privacy": {"customer_identifiers": "drop", "attributes_keep": ()},
            "reconcile": {"tolerance_ms": 3000, "grace_hours": 24, "span_days": 30},
            "usage": {"heartbeat_timeout_minutes": 60},
            "service_level": {"thresholds_seconds": (20, 30, 60)},
            "quality": {"max_quarantined_share": 0.05, "max_missing_share": 0.05, "data_docs": None},
            "lock": {"lease_seconds": 120},
            "retention": {"silver": None, "gold": None, "quarantine": None},
            "storage": {"s3": {"endpoint": None, "path_style": False, "region": None}},
        }

    def test_transcripts_lie_by_the_day(self, load: Load) -> None:
        transcripts = FEED.replace("symbee", "symbee_transcript")
        first, second = load(LAKE + transcripts + transcripts + 'layout = "%Y/%m/%d/%H/"\n').feed
        assert (first.layout, second.layout) == ("%Y/%m/%d/", "%Y/%m/%d/%H/")


class TestEveryKey:
    def test_is_read(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, "key")
        configuration = load(
            """
            [lake]
            root = "s3://bucket/lake"
            timezone = "Europe/Berlin"
            [[feed]]
            name = "connect_contact"
            archive = "s3://bucket"
            prefix = ""
            layout = ""
            environment = "abccompany/prod"
            arrival_timezone = "Asia/Tokyo"
            [ingest]
            lookback_hours = 0
            max_decompressed_bytes = 1
            [privacy]
            customer_identifiers = "hash"
            attributes_keep = ["tier", "Tier"]
            [reconcile]
            tolerance_ms = 0
            grace_hours = 0
            span_days = 0
            [usage]
            heartbeat_timeout_minutes = 1
            [service_level]
            thresholds_seconds = [10]
            [quality]
            max_quarantined_share = 0
            max_missing_share = 1.0
            data_docs = "docs"
            [lock]
            lease_seconds = 1
            [retention]
            silver = 1
            gold = 2
            quarantine = 3
            [storage.s3]
            endpoint = "http://127.0.0.1:8333"
            path_style = true
            region = "us-east-1"
            """
        )
        assert configuration.feed[0].environment == "abccompany/prod"
        assert configuration.feed[0].arrival_timezone == "Asia/Tokyo"
        assert configuration.privacy.attributes_keep == ("tier", "Tier")
        assert configuration.service_level.thresholds_seconds == (10,)
        assert configuration.quality.max_quarantined_share == 0
        assert configuration.retention.quarantine == 3
        assert configuration.storage.s3.path_style is True

    def test_cannot_be_changed(self, load: Load) -> None:
        configuration = load(LAKE + FEED)
        with pytest.raises(ValueError, match="frozen"):
            configuration.lake.root = "elsewhere"

    @pytest.mark.parametrize(
        "name",
        ["symbee", "symbee_transcript", "connect_contact", "vonage", "buzzeasy", "expertflow", "salesforce_voice"],
    )
    def test_feeds_are_these(self, load: Load, name: str) -> None:
        assert load(LAKE + FEED.replace("symbee", name)).feed[0].name == name

    def test_a_feed_may_occur_more_than_once(self, load: Load) -> None:
        other = FEED.replace("interactions/", "workcodes/")
        feeds = load(LAKE + FEED + other).feed
        assert [feed.prefix for feed in feeds] == ["interactions/", "workcodes/"]
        assert feeds[0].mark_key != feeds[1].mark_key

    @pytest.mark.parametrize(
        "layout", ["", "%Y/", "%Y/%m/", "%Y/%m/%d/", "%Y/%m/%d/%H/", "y=%Y/m=%m/d=%d/h=%H/", "%Y%m%d-"]
    )
    def test_layouts_are_of_these_forms(self, load: Load, layout: str) -> None:
        assert load(LAKE + FEED + f'layout = "{layout}"\n').feed[0].layout == layout


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "key", "wants"),
        [
            ("", "lake", "must be given"),
            (LAKE, "feed", "must be given"),
            (FEED, "lake", "must be given"),
            (LAKE.replace("root", "rooot") + FEED, "lake.root", "must be given"),
            (LAKE + "zone = 1\n" + FEED, "lake.zone", "not a known key"),
            (LAKE + FEED + "[lakes]\n", "lakes", "not a known key"),
            (LAKE + FEED + 'suffix = "x"\n', "feed[0].suffix", "not a known key"),
            (LAKE + FEED + "[storage.azure]\n", "storage.azure", "not a known key"),
            (LAKE + FEED + '[storage.s3]\nsecret_key = "x"\n', "storage.s3.secret_key", "not a known key"),
            (LAKE.replace("America/Chicago", "Central") + FEED, "lake.timezone", "IANA"),
            (LAKE.replace("America/Chicago", "") + FEED, "lake.timezone", "IANA"),
            (LAKE.replace("America/Chicago", "../../etc/passwd") + FEED, "lake.timezone", "IANA"),
            (LAKE.replace('"America/Chicago"', "5") + FEED, "lake.timezone", "string"),
            (LAKE + FEED + 'arrival_timezone = "Mars"\n', "feed[0].arrival_timezone", "IANA"),
            (LAKE.replace("build/lake", "") + FEED, "lake.root", "give a directory or s3://"),
            (LAKE.replace("build/lake", "gs://bucket") + FEED, "lake.root", "s3://"),
            (LAKE.replace("build/lake", "s3://") + FEED, "lake.root", "s3://"),
            (LAKE + FEED.replace("symbee", "genesys"), "feed[0].name", "symbee"),
            (LAKE + FEED.replace("name", "nome"), "feed[0].name", "must be given"),
            (LAKE + FEED + FEED.replace('prefix = "interactions/"\n', ""), "feed[1].prefix", "must be given"),
            (LAKE + FEED.replace('archive = "archive"\n', ""), "feed[0].archive", "must be given"),
            (LAKE + FEED.replace('"interactions/"', "7"), "feed[0].prefix", "string"),
            (LAKE + FEED + 'layout = "%Y/%d/%m/"\n', "feed[0].layout", "in this order"),
            (LAKE + FEED + 'layout = "%H/"\n', "feed[0].layout", "in this order"),
            (LAKE + FEED + 'layout = "%Y/%Y/"\n', "feed[0].layout", "each once"),
            (LAKE + FEED + 'layout = "%Y/%m/%d/%H/%M/"\n', "feed[0].layout", "%H"),
            (LAKE + FEED + 'environment = ""\n', "feed[0].environment", "at least 1 character"),
            (LAKE + FEED.replace("[[feed]]", "[feed]"), "feed", "valid"),
            (LAKE + FEED + "[ingest]\nlookback_hours = -1\n", "ingest.lookback_hours", "greater than or equal to 0"),
            (LAKE + FEED + "[ingest]\nlookback_hours = 1.5\n", "ingest.lookback_hours", "integer"),
            (LAKE + FEED + '[ingest]\nlookback_hours = "48"\n', "ingest.lookback_hours", "integer"),
            (LAKE + FEED + "[ingest]\nlookback_hours = true\n", "ingest.lookback_hours", "integer"),
            (LAKE + FEED + "[ingest]\nmax_decompressed_bytes = 0\n", "ingest.max_decompressed_bytes", "greater than 0"),
            (
                LAKE + FEED + '[privacy]\ncustomer_identifiers = "mask"\n',
                "privacy.customer_identifiers",
                "'drop', 'hash' or 'keep'",
            ),
            (LAKE + FEED + '[privacy]\nattributes_keep = "tier"\n', "privacy.attributes_keep", "valid"),
            (LAKE + FEED + "[privacy]\nattributes_keep = [1]\n", "privacy.attributes_keep[0]", "string"),
            (LAKE + FEED + "[reconcile]\ntolerance_ms = -1\n", "reconcile.tolerance_ms", "greater than or equal to 0"),
            (
                LAKE + FEED + "[usage]\nheartbeat_timeout_minutes = 0\n",
                "usage.heartbeat_timeout_minutes",
                "greater than 0",
            ),
            (
                LAKE + FEED + "[service_level]\nthresholds_seconds = []\n",
                "service_level.thresholds_seconds",
                "at least 1 item",
            ),
            (
                LAKE + FEED + "[service_level]\nthresholds_seconds = [20, 0]\n",
                "service_level.thresholds_seconds[1]",
                "greater than 0",
            ),
            (
                LAKE + FEED + "[quality]\nmax_missing_share = 1.1\n",
                "quality.max_missing_share",
                "less than or equal to 1",
            ),
            (LAKE + FEED + '[quality]\nmax_missing_share = "x"\n', "quality.max_missing_share", "number"),
            (LAKE + FEED + "[lock]\nlease_seconds = 0\n", "lock.lease_seconds", "greater than 0"),
            (LAKE + FEED + "[retention]\nsilver = 0\n", "retention.silver", "greater than 0"),
            (LAKE + FEED + '[storage.s3]\npath_style = "yes"\n', "storage.s3.path_style", "boolean"),
        ],
    )
    def test_name_the_key_and_what_it_wants(self, load: Load, text: str, key: str, wants: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            load(text)
        message = str(raised.value)
        assert raised.value.exit_code == 2
        assert "\n" not in message
        assert re.search(rf"lake\.toml: {re.escape(key)} ", message), message
        assert wants in message, message

    def test_tell_that_there_are_more(self, load: Load) -> None:
        with pytest.raises(ConfigurationError, match=r"lake.zone is not a known key.*\(2 more\)"):
            load(LAKE + "zone = 1\n" + FEED + "[lock]\nlease = 1\n[usage]\ntimeout = 1\n")

    @pytest.mark.parametrize("text", ["[lake", "root = ", "[lake]\n[lake]\n", "a = 1\na = 2\n"])
    def test_say_that_it_is_not_toml(self, load: Load, text: str) -> None:
        with pytest.raises(ConfigurationError, match=r"lake\.toml is not TOML") as raised:
            load(text)
        assert "\n" not in str(raised.value)

    def test_say_that_it_is_not_utf8(self, tmp_path: Path) -> None:
        file = tmp_path / "lake.toml"
        file.write_bytes(b'[lake]\nroot = "\xff"\n')
        with pytest.raises(ConfigurationError, match="is not TOML"):
            load_configuration(file)

    @pytest.mark.parametrize("name", ["absent.toml", "."])
    def test_say_that_it_cannot_be_read(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / name))) as raised:
            load_configuration(tmp_path / name)
        assert "cannot be read" in str(raised.value)
        assert "\n" not in str(raised.value)


class TestPseudonymKey:
    HASH = LAKE + FEED + '[privacy]\ncustomer_identifiers = "hash"\n'

    @pytest.mark.parametrize("key", [None, ""])
    def test_must_be_there_for_hashes(self, load: Load, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
        if key is not None:
            monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, key)
        with pytest.raises(ConfigurationError, match=r"privacy\.customer_identifiers.*CONTACTLAKE_PSEUDONYM_KEY"):
            load(self.HASH)

    def test_is_enough(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(PSEUDONYM_KEY_VARIABLE, "key")
        configuration = load(self.HASH)
        assert configuration.privacy.customer_identifiers == "hash"
        assert "'key'" not in repr(configuration)

    @pytest.mark.parametrize("mode", ["drop", "keep"])
    def test_is_not_needed_otherwise(self, load: Load, mode: str) -> None:
        assert load(self.HASH.replace("hash", mode)).privacy.customer_identifiers == mode


class TestWhichFile:
    def test_is_named_by_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "lake.toml").write_text(LAKE + FEED)
        monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "lake.toml"))
        assert load_configuration(None).lake.timezone == "America/Chicago"

    def test_is_rather_the_one_given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "given.toml").write_text(LAKE.replace("America/Chicago", "UTC") + FEED)
        monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "absent.toml"))
        assert load_configuration(tmp_path / "given.toml").lake.timezone == "UTC"

    @pytest.mark.parametrize("value", [None, ""])
    def test_must_be_named(self, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
        if value is not None:
            monkeypatch.setenv(CONFIG_VARIABLE, value)
        with pytest.raises(ConfigurationError, match=r"--config FILE.*CONTACTLAKE_CONFIG"):
            load_configuration(None)

    def test_that_the_environment_names_must_be_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "absent.toml"))
        with pytest.raises(ConfigurationError, match=r"absent\.toml cannot be read"):
            load_configuration(None)


def test_every_error_is_shown_as_text(load: Load) -> None:
    """An odd value is quoted, so that even a line break in it leaves one line."""
    values: list[Any] = ['"a\\nb"', '"""a\nb"""', "[1, 2]", "{a = 1}", "2025-03-07", "inf"]
    for value in values:
        with pytest.raises(ConfigurationError) as raised:
            load(LAKE.replace('"America/Chicago"', value) + FEED)
        assert "lake.timezone" in str(raised.value)
        assert "\n" not in str(raised.value)


SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
S3 = "[storage.s3]\n"


class TestCredentials:
    """They come from the AWS chain: what looks like one is refused where it stands, and not repeated."""

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            (LAKE + FEED + S3 + f'access_key = "{SECRET}"\n', "storage.s3.access_key"),
            (LAKE + FEED + S3 + f'secret_key = "{SECRET}"\n', "storage.s3.secret_key"),
            (LAKE + FEED + S3 + f'credentials = {{ secret = "{SECRET}" }}\n', "storage.s3.credentials"),
            (LAKE + FEED + f'[aws]\nsecret_access_key = "{SECRET}"\n', "aws"),
            (LAKE + FEED + S3 + f'endpoint = "http://me:{SECRET}@127.0.0.1:8333"\n', "storage.s3.endpoint"),
            (LAKE + FEED + S3 + f'endpoint = "https://{SECRET}@s3.example.com"\n', "storage.s3.endpoint"),
            (
                LAKE + FEED + S3 + f'endpoint = "https://s3.example.com/?X-Amz-Signature={SECRET}"\n',
                "storage.s3.endpoint",
            ),
            (LAKE + FEED + S3 + f'endpoint = "https://s3.example.com#{SECRET}"\n', "storage.s3.endpoint"),
            (LAKE + FEED + S3 + f'endpoint = "http://[{SECRET}"\n', "storage.s3.endpoint"),
            (LAKE + FEED + S3 + f'endpoint = ["{SECRET}"]\n', "storage.s3.endpoint"),
            (LAKE + FEED + S3 + f'path_style = "{SECRET}"\n', "storage.s3.path_style"),
            (LAKE.replace("build/lake", f"s3://me:{SECRET}@bucket/lake") + FEED, "lake.root"),
            (LAKE + FEED.replace('"archive"', f'"s3://me:{SECRET}@bucket"'), "feed[0].archive"),
            (LAKE + FEED + f'[quality]\ndata_docs = "s3a://me:{SECRET}@bucket"\n', "quality.data_docs"),
        ],
    )
    def test_are_refused_and_not_shown(self, load: Load, text: str, key: str) -> None:
        with pytest.raises(ConfigurationError) as refused:
            load(text)
        assert key in str(refused.value)
        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None

    @pytest.mark.parametrize(
        "endpoint", ["http://127.0.0.1:8333", "https://s3.example.com", "http://[::1]:8333", "https://minio.local/"]
    )
    def test_are_not_what_an_address_is(self, load: Load, endpoint: str) -> None:
        assert load(LAKE + FEED + S3 + f'endpoint = "{endpoint}"\n').storage.s3.endpoint == endpoint

    @pytest.mark.parametrize(
        "endpoint", ["", "nonsense", "127.0.0.1:8333", "ftp://host", "http://", "http://host:99999"]
    )
    def test_nor_is_every_text_an_address(self, load: Load, endpoint: str) -> None:
        with pytest.raises(ConfigurationError, match=r"storage\.s3\.endpoint is wrong: is no address, give http"):
            load(LAKE + FEED + S3 + f'endpoint = "{endpoint}"\n')
