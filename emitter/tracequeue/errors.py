"""Every error of the project: what happened, to what, and the cure. The worker adds its own below this root."""


class TracequeueError(Exception):
    """Root of all errors that this project raises on purpose."""


class SettingsError(TracequeueError, ValueError):
    """A setting has a value that cannot work. The text names the variable, the value and the cure."""


class AlreadyInitialised(TracequeueError):
    """`init_collector` was called again with other settings. Stop the first collector before making another."""


class FrameRejected(TracequeueError):
    """A stream entry is not a frame of the wire format; the worker makes it a dead letter.

    `reason` is one of the short codes of docs/wire-format.md.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
