"""What the bot answers to: a router for each kind of message."""

from aiogram import Router

from examples.bot.handlers import basics, failures, learn, other, support, train

__all__ = ["routers"]


def routers() -> list[Router]:
    """In the order in which they are asked. New ones each time: a router belongs to one dispatcher."""
    kinds = (basics, learn, train, support, other, failures)
    return [kind.router() for kind in kinds]
