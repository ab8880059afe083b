"""The built wheel in an environment of its own: the command, its settings and its configuration come with it."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from tests.commands import surroundings
from tests.conftest import REPOSITORY
from tests.lakes import write_objects
from tests.records import contact, contact_object, interaction, interaction_object

CONFIG = """
[lake]
root = "lake"
timezone = "America/Chicago"

[[feed]]
name = "symbee"
archive = "symbee"
prefix = "interactions/"

[[feed]]
name = "connect_contact"
archive = "connect"
prefix = "connectCtrAcme"
environment = "abccompany/prod"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment that has the wheel, and the dependencies of the tests' own environment.

    The dependencies are lent, not installed again; the package is not: the checkout is off its path.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    built = subprocess.run(build, check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    lent = Path(sysconfig.get_paths()["purelib"])
    (own,) = (environment / "lib").glob("python3*/site-packages")
    # A plain path is not followed for its own .pth files, so the checkout that they name stays out.
    (own / "lent.pth").write_text(f"{lent}\n")
    subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    return environment / "bin" / "contactlake"


def test_the_wheel_works_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    write_objects(
        tmp_path, {**interaction_object("2025/03/04/18", interaction()), **contact_object("2025/03/04/18", contact())}
    )
    (tmp_path / "contactlake.toml").write_text(CONFIG)
    environment = surroundings()
    environment.pop("PYTHONPATH", None)

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    where = command("--help")
    assert where.returncode == 0, where.stderr
    assert "daily" in where.stdout
    where = subprocess.run(
        [installed.with_name("python"), "-c", "import contactlake; print(contactlake.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(REPOSITORY) not in where.stdout.replace(str(Path(sys.prefix)), "")
    done = command("daily", "--config", "contactlake.toml", "--as-of", "2025-03-06T00:00:00Z")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lake" / "gold" / "handle_daily").is_dir()
    shown = command("summary", "--config", "contactlake.toml")
    assert shown.returncode == 0, shown.stderr
    assert "billing" in shown.stdout
