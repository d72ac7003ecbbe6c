"""Frames on disk while Redis cannot take them: written by one process, sent by it or by whoever comes after it."""

from tracequeue.spool.drain import Drain, Spooled
from tracequeue.spool.folder import Folder
from tracequeue.spool.shelf import SYNC_SECONDS, Shelf

__all__ = ["SYNC_SECONDS", "Drain", "Folder", "Shelf", "Spooled"]
