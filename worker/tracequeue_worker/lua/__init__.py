"""The scripts that run inside Redis, one per file."""

from pathlib import Path


def load(name: str) -> str:
    """The text of a script."""
    return Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8")
