"""The migration files themselves: names, order, and what may not be in them."""

import re

import pytest

from tracequeue_worker.errors import MigrationError
from tracequeue_worker.migrate import load, migrations_directory

FILES = sorted(migrations_directory().glob("*"))
CLIENT_NAME = re.compile(r"^\d{1,64}_[a-z0-9-]+\.sql$")
"""What InsForge's command line takes."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_name_is_what_the_runner_and_insforge_take(path):
    assert CLIENT_NAME.match(path.name)
    assert re.fullmatch(r"\d{14}_[a-z0-9]+(-[a-z0-9]+)*\.sql", path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_leaves_transactions_and_roles_to_the_runner(path):
    code = re.sub(r"--[^\n]*", "", path.read_text())
    outside_of_bodies = re.sub(r"\$\$.*?\$\$", "", code, flags=re.DOTALL)
    assert not re.search(r"\b(BEGIN|COMMIT|ROLLBACK|SAVEPOINT)\b", outside_of_bodies, re.IGNORECASE)
    assert not re.search(r"\bSET\s+(SESSION|ROLE)\b|set_config", code, re.IGNORECASE)


def test_they_are_loaded_in_the_order_of_their_numbers():
    migrations = load(migrations_directory())
    assert [migration.file for migration in migrations] == [path.name for path in FILES]
    assert [migration.version for migration in migrations] == sorted({path.name[:14] for path in FILES})


@pytest.mark.parametrize(
    "name", ["1_short.sql", "20261101000000_Under_score.sql", "20261101000000.sql", "20261101000000_a--b.sql"]
)
def test_a_file_with_another_name_is_an_error_that_says_how(tmp_path, name):
    (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError, match=re.escape(f"{name}: must be named <14 digits>_<name-with-hyphens>.sql")):
        load(tmp_path)


def test_two_files_with_one_number_are_an_error(tmp_path):
    (tmp_path / "20261101000000_a.sql").write_text("SELECT 1")
    (tmp_path / "20261101000000_b.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match=r"20261101000000_b\.sql: 20261101000000_a\.sql has the same number"):
        load(tmp_path)


def test_an_installation_without_files_is_an_error(tmp_path):
    with pytest.raises(MigrationError, match="install it again"):
        load(tmp_path)
