"""Looks at everything that a deployment stands on, and says what is wrong and what cures it. It changes nothing."""

from tracequeue_worker.doctor.archive import read_unarchived
from tracequeue_worker.doctor.examination import Examination, examine
from tracequeue_worker.doctor.finding import Finding, Subject, Verdict
from tracequeue_worker.doctor.here import examine_here

__all__ = ["Examination", "Finding", "Subject", "Verdict", "examine", "examine_here", "read_unarchived"]
