"""docs/guarantees.md is true: each fault has its row, each test that is named exists, and each fault test is named."""

import re
from pathlib import Path

from tests.mutation.test_mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()
FAULTS = ROOT / "tests/fault"
CATALOGUE = set(range(1, 51)) - {24, 43}
"""Redis Cluster and PgBouncer have no tests yet; the page says so."""


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def named_tests() -> set[str]:
    """`file: test, test` of each row, as file::test."""
    return {
        f"{file}::{test}"
        for *_, cell in rows("The faults")
        for part in cell.split("<br>")
        for file, *tests in [re.findall(r"`(\w+(?:\.py)?)`", part)]
        for test in tests
    }


def existing_tests() -> set[str]:
    return {
        f"{file.name}::{test}"
        for file in FAULTS.glob("test_*.py")
        for test in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }


def test_every_fault_of_the_catalogue_has_one_row() -> None:
    numbers = [int(number) for number, *_ in rows("The faults") if number.isdigit()]
    assert sorted(numbers) == sorted(CATALOGUE)


def test_the_table_names_exactly_the_tests_that_there_are() -> None:
    assert named_tests() == existing_tests()


def test_every_promise_names_faults_of_the_table() -> None:
    promises = rows("The promises")
    assert [number for number, *_ in promises] == [str(number) for number in range(1, 9)]
    for _, _, faults, _ in promises:
        assert {int(number) for number in re.findall(r"\d+", faults)} <= CATALOGUE


def test_the_mutants_are_listed() -> None:
    assert re.findall(r"^- (.+)$", section("Broken on purpose"), re.MULTILINE) == [mutant.promise for mutant in MUTANTS]
