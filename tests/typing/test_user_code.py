"""The public surface as a user's type checker sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
STRICT = ("--strict", "--warn-unused-ignores", "--no-error-summary", "--hide-error-context", "--config-file=")
PYTHONS = ("3.11", "3.14")


def checked(file: Path, python: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    """mypy as a user runs it: none of this project's settings, the packages found as installed."""
    command = [sys.executable, "-m", "mypy", *STRICT, f"--cache-dir={cache}", f"--python-version={python}", file.name]
    return subprocess.run(command, cwd=file.parent, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("python", PYTHONS)
def test_user_code_is_right_where_it_is_and_wrong_where_it_says(python: str, tmp_path: Path) -> None:
    done = checked(FOLDER / "user_code.py", python, tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_an_error_that_is_not_expected_fails(tmp_path: Path) -> None:
    code = (FOLDER / "user_code.py").read_text()
    mistyped = tmp_path / "mistyped.py"
    mistyped.write_text(code.replace('assert_type(add(1, 2, note="x"), int)', 'assert_type(add("1"), str)'))
    done = checked(mistyped, PYTHONS[0], tmp_path / "cache")
    assert done.returncode == 1
    assert done.stdout.count("error:") == 2
