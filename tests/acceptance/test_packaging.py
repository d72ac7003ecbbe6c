"""The built wheel, not the tree: what is in it, what a bot's environment gets of it, what a worker's needs."""

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "emitter/tracequeue", ROOT / "worker/tracequeue_worker")
SERVER_CODE = ("asyncpg", "msgspec", "prometheus_client", "pydantic_settings", "pythonjsonlogger", "rich", "typer")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that has the wheel and nothing of the checkout."""

    folder: Path

    def python(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self.run("python", *arguments, cwd=cwd)

    def run(self, program: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return run([str(self.folder / "bin" / program), *arguments], cwd, **variables)


def run(command: Sequence[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRACEQUEUE_"))}
    return subprocess.run(command, cwd=cwd, env=clean | variables, check=False, capture_output=True, text=True)


def install(folder: Path, requirement: str) -> Environment:
    venv.create(folder, with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install", "--quiet", requirement]
    done = run([*command, "-c", str(ROOT / "constraints.txt")], folder)
    assert done.returncode == 0, done.stderr
    return Environment(folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bot(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install tracequeue` gives."""
    return install(tmp_path_factory.mktemp("bot"), str(wheel))


@pytest.fixture(scope="module")
def worker(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install "tracequeue[worker]"` gives."""
    return install(tmp_path_factory.mktemp("worker"), f"{wheel}[worker]")


def test_the_wheel_holds_every_file_of_the_packages_and_the_migrations(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        f"{package.name}/{file.relative_to(package)}"
        for package in SOURCES
        for file in package.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    migrations = {f"tracequeue_worker/migrations/{file.name}" for file in (ROOT / "migrations").glob("*.sql")}
    assert migrations
    assert {"tracequeue/py.typed", "tracequeue_worker/py.typed"} <= sources
    assert names == sources | migrations


def test_a_bot_takes_no_server_code_with_it(bot: Environment, tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "import tracequeue\n"
        f"names = {SERVER_CODE!r}\n"
        "print([name for name in names if importlib.util.find_spec(name)])\n"
        "print([name for name in (*names, 'tracequeue_worker') if name in sys.modules])\n"
        "print(all(hasattr(tracequeue, name) for name in tracequeue.__all__), len(tracequeue.__all__) > 0)\n"
        "print(tracequeue.__file__)\n"
    )
    done = bot.python("-c", code, cwd=tmp_path)
    installed, imported, public, file = done.stdout.splitlines()
    assert (installed, imported, public) == ("[]", "[]", "True True"), done.stderr
    assert Path(file).is_relative_to(bot.folder)


def test_a_bot_runs_and_is_not_held_up_by_a_redis_that_is_not_there(bot: Environment, tmp_path: Path) -> None:
    code = (
        "from tracequeue import TraceContext, init_collector, traced_span\n"
        "collector = init_collector(redis_url='redis://127.0.0.1:1/0')\n"
        "@traced_span('agent:echo')\n"
        "def echo(text): return text\n"
        "with TraceContext('support') as trace: print(echo('hello'))\n"
        "collector.stop_sync(timeout=0.1)\n"
    )
    done = bot.python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


@pytest.mark.parametrize("arguments", [(), ("status",), ("--help",), ("demo",)])
def test_a_bots_command_says_what_to_install(bot: Environment, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = bot.run("tracequeue", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert 'pip install "tracequeue[worker]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_bot_with_a_worker_and_an_emitter_of_its_own_is_not_disturbed(bot: Environment, tmp_path: Path) -> None:
    for name in ("worker", "emitter", "migrations", "settings", "events"):
        (tmp_path / f"{name}.py").write_text(f"WHOSE = 'the bot: {name}'\n")
    (tmp_path / "main.py").write_text(
        "import emitter, events, migrations, settings, worker\n"
        "import tracequeue\n"
        "print([module.WHOSE for module in (worker, emitter, migrations, settings, events)])\n"
    )
    done = bot.python("main.py", cwd=tmp_path)
    expected = [f"the bot: {name}" for name in ("worker", "emitter", "migrations", "settings", "events")]
    assert done.stdout.strip() == str(expected), done.stderr


def test_a_worker_of_the_wheel_migrates_an_empty_database(
    worker: Environment, database_url: str, tmp_path: Path
) -> None:
    def migrate(*arguments: str) -> str:
        done = worker.run("tracequeue", "migrate", *arguments, cwd=tmp_path, TRACEQUEUE_DATABASE_URL=database_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    migrate()
    status = migrate("--status", "--json")
    for file in (ROOT / "migrations").glob("*.sql"):
        assert file.name.partition("_")[0] in status


def test_without_embedded_servers_the_command_says_what_to_install(worker: Environment, tmp_path: Path) -> None:
    done = worker.run("tracequeue", "up", cwd=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert 'pip install "tracequeue[embedded]"' in done.stderr
    assert "Traceback" not in done.stderr
