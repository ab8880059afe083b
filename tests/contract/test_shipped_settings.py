"""What ships in conf/ is right, and asks for no more than it needs."""

from pathlib import Path

import pytest

from contactlake.config import load_configuration

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize("name", ["local.toml", "s3.toml"])
def test_the_shipped_configurations_are_right(name: str) -> None:
    assert load_configuration(CONF / name).lake.timezone == "America/Chicago"


def test_local_runs_need_no_s3_support() -> None:
    assert "hadoop-aws" not in (CONF / "spark-defaults.conf").read_text()
    assert "hadoop-aws" in (CONF / "s3" / "spark-defaults.conf").read_text()
