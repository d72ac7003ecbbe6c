"""What a stand-in for a language model answers: a play, but a function of what was asked, always the same."""

import re
from collections.abc import Iterator
from zlib import crc32

CHARACTERS_PER_TOKEN = 4
"""The rule of thumb that providers give for English text; real tokenizers differ from model to model."""
WORDS_PER_CHUNK = 4
TOPIC_LENGTH = 80

LABELLED = re.compile(r"^(?:topic|goal|question|text)[ \t]*:[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNTED = re.compile(rf"\b([1-9]|{'|'.join(NUMBERS)}) (?:\w+ )?(?:steps|exercises|questions|points)\b")

STEPS = (
    "Say in one sentence what you want to reach with {topic}",
    "Read a short introduction to {topic} and write down three open questions",
    "Watch somebody who is good at {topic}, and note what they do first",
    "Practise {topic} for fifteen minutes without looking anything up",
    "Explain {topic} to a friend, and mark what you could not explain",
    "Go back to the weakest part of {topic} and repeat it slowly",
    "Set a date a week from now on which you show {topic} to someone",
)
EXERCISES = (
    "What is the very first thing you would do in {topic}, and why?",
    "Name two mistakes that beginners make in {topic}.",
    "Do the smallest possible piece of {topic} now, and write down how long it took.",
    "Which part of {topic} would you leave out if you had only ten minutes?",
    "Describe {topic} in three sentences to a child.",
    "How would you notice that you are getting better at {topic}?",
)
POINTS = (
    "What {topic} is, in one sentence",
    "What somebody needs before they start with {topic}",
    "The mistake that most people make with {topic}",
    "How long {topic} takes until it is useful",
    "Where to ask when {topic} becomes hard",
)
SENTENCES = (
    "Thank you for asking about {topic}.",
    "Most people find that {topic} gets easier once the first small step is done.",
    "If {topic} does not work as expected, start again with the settings it came with.",
    "What usually helps with {topic} is to change one thing at a time.",
    "Tell me what you have tried with {topic}, and I will suggest what comes next.",
)


def answer(prompt: str, system: str = "") -> str:
    """A numbered plan, numbered exercises or points, or else a few sentences, about the topic of the prompt.

    The topic is the last line labelled `Topic:`, `Goal:`, `Question:` or `Text:`, or else the last line. Which form
    it has, and how many lines, is read from the system prompt, or without one from the prompt; which sentences are
    taken depends on all of both.
    """
    topic, instructions = topic_of(prompt), (system or prompt).lower()
    draw = crc32(f"{system}\n{prompt}".encode())
    if re.search(r"\bexercises?\b", instructions):
        return f"Exercises on {topic}:\n" + _numbered(EXERCISES, topic, _count(instructions, draw), draw)
    if re.search(r"\b(plan|steps)\b", instructions):
        return f"A plan for {topic}:\n" + _numbered(STEPS, topic, _count(instructions, draw), draw)
    if re.search(r"\bpoints\b", instructions):
        return _numbered(POINTS, topic, _count(instructions, draw), draw)
    return " ".join(_drawn(SENTENCES, topic, 3, draw))


def topic_of(prompt: str) -> str:
    """What a prompt is about, in at most 80 characters."""
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    labelled = LABELLED.findall(prompt)
    topic = labelled[-1] if labelled else lines[-1] if lines else ""
    return topic.strip(" .!?")[:TOPIC_LENGTH] or "your question"


def token_count(text: str) -> int:
    """Four characters are a token, and a rest is one too."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def chunks(text: str) -> Iterator[str]:
    """The text in pieces of a few words, which joined are the text again."""
    words = re.findall(r"\s*\S+\s*?", text)
    for first in range(0, len(words), WORDS_PER_CHUNK):
        yield "".join(words[first : first + WORDS_PER_CHUNK])


def _count(instructions: str, draw: int) -> int:
    counted = COUNTED.search(instructions)
    if counted is None:
        return 3 + draw % 3
    return int(counted[1]) if counted[1].isdigit() else NUMBERS.index(counted[1]) + 1


def _numbered(lines: tuple[str, ...], topic: str, count: int, draw: int) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(_drawn(lines, topic, count, draw), 1))


def _drawn(lines: tuple[str, ...], topic: str, count: int, draw: int) -> list[str]:
    return [lines[(draw + number) % len(lines)].format(topic=topic) for number in range(count)]
