"""What a code says of its warning now."""

from __future__ import annotations

from enum import StrEnum

from alerts.incidents.incident import ENDS, Notice, Reason


class Verdict(StrEnum):
    GENUINE = "genuine"  # sent by this service, and the newest word of a warning that is in force
    SUPERSEDED = "superseded"  # sent by this service; there is a newer word
    OVER = "over"  # sent by this service; the warning has ended
    WITHDRAWN = "withdrawn"  # sent by this service, which has taken it back: it should never have been said
    UNKNOWN = "unknown"  # this service has sent nothing with that code
    NOT_A_CODE = "not_a_code"  # mistyped: no code of ours looks like that
    DAMAGED = "damaged"  # what is kept under the code no longer fits its signature: nothing is said of it


def verdict(notice: Notice, newest: Notice, *, closed: bool) -> Verdict:
    """Of a version, given the newest one of its incident and whether that has ended."""
    if newest.reason is Reason.WITHDRAWN:
        return Verdict.WITHDRAWN
    if closed or newest.reason in ENDS:
        return Verdict.OVER
    return Verdict.GENUINE if notice.version == newest.version else Verdict.SUPERSEDED
