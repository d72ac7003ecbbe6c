"""What people may ask for: checks before a pipeline is started, with an answer that says what to do."""

LONGEST_TOPIC = 200
LONGEST_QUESTION = 2_000
"""Characters."""


def objection(text: str, longest: int) -> str | None:
    """What to answer instead, or None if the text will do."""
    if len(text) > longest:
        return f"That is too long for me: please say it in at most {longest:,} characters, not {len(text):,}."
    return None


def topic_objection(topic: str, command: str) -> str | None:
    """The same for what follows a command."""
    if not topic:
        return f"Please say about what, for example: /{command} swimming"
    return objection(topic, LONGEST_TOPIC)
