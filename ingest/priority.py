"""How a process of ours stands back for those that decide warnings."""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)


def stand_back(nice: int) -> None:
    """Where the system lets nobody change that (a container, a unit of systemd that is shut further than ours), it
    works on as it is: late is better than not at all.
    """
    try:
        os.nice(nice)
    except OSError as error:
        log.info("goes on at the priority it has: %s", error.strerror)
