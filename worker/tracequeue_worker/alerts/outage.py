"""A server that cannot be used from here: said once in the log, and a finding once it has lasted."""

import logging
from datetime import datetime

from tracequeue_worker.alerts.findings import Finding, State
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.wording import shown_error

log = logging.getLogger(__name__)


class Outage:
    """Of one server, as this process sees it."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._since: datetime | None = None
        self._error = ""

    def failed(self, error: Exception, now: datetime) -> None:
        """Note that it could not be used."""
        if self._since is None:
            log.warning("alerts cannot look at %s, and try again: %s", self.server, error)
            self._since = now
        self._error = str(error)

    def recovered(self) -> None:
        """Note that it can, again or still."""
        if self._since is not None:
            log.info("alerts can look at %s again", self.server)
        self._since = None

    def finding(self, rules: AlertRules, now: datetime) -> Finding:
        """Whether it has been away for longer than a restart takes."""
        subject = f"{self.server} cannot be used from here"
        if self._since is None:
            return Finding(f"outage:{self.server}", "well", subject, "")
        state: State = "wrong" if now - self._since >= rules.unreachable else "undecided"
        return Finding(f"outage:{self.server}", state, subject, f"<code>{shown_error(self._error)}</code>")
