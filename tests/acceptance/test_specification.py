"""docs/specification.md is whole: each truth, requirement and check has its row, and each test that it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/specification.md").read_text()
EXPECTED = {
    "Truths": [str(number) for number in range(1, 22)],
    "Requirements": [f"TRACE-0{number}" for number in range(1, 7)],
    "What was left to a person": [str(number) for number in range(1, 7)],
}


def rows(title: str) -> list[list[str]]:
    """The cells of each row of a table."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


@pytest.mark.parametrize("title", EXPECTED)
def test_each_has_one_row_that_names_tests(title: str) -> None:
    assert [number for number, *_ in rows(title)] == EXPECTED[title]
    for number, _, cell in rows(title):
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", cell)
        assert named, f"{number} names no test"
        for file, test in named:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), test


def test_the_synthetic_user_says_which_of_its_tests_is_which_check() -> None:
    file = "acceptance/test_synthetic_user.py"
    docstring = (ROOT / "tests" / file).read_text().split('"""')[1]
    said = re.findall(r"^(\d)\. .*`(test_\w+)`$", docstring, re.MULTILINE)
    assert said == [
        (number, re.findall(rf"`{file}::(test_\w+)`", cell)[0]) for number, _, cell in rows("What was left to a person")
    ]
