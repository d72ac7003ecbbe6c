"""The scripts that run inside Redis, one per file."""

from pathlib import Path


def load(*names: str) -> str:
    """The text of a script, after the preludes that it needs."""
    return "\n".join(Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8") for name in names)
