"""The tables of the ledger, in SQLAlchemy Core: what was decided, and what was sent because of it.

Times are ms UTC. Nothing here is SQLite's own, so that PostgreSQL can take its place.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

SCHEMA_VERSION: Final = 3

metadata = MetaData()
# SQLite numbers rows by itself only where the column is called INTEGER.
_Serial = BigInteger().with_variant(Integer, "sqlite")

# One row: how far the journal has been decided.
progress = Table(
    "progress",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("arrival", BigInteger, nullable=False),
)
snapshot = Table(
    "snapshot",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)
transition = Table(
    "transition",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("sensor", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("from_level", Integer, nullable=False),
    Column("to_level", Integer, nullable=False),
    Column("value", Float(53)),
    Column("arrival", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
health = Table(
    "health",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("sensor", Text, nullable=False),
    Column("from_status", Text, nullable=False),
    Column("to_status", Text, nullable=False),
)
# One row a (sensor, rule, at): what comes again, from a gateway that never had its receipt, is told once. The index is
# not unique: older files may have such rows twice.
late_breach = Table(
    "late_breach",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("sensor", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("value", Float(53), nullable=False),
    Column("arrival", BigInteger, nullable=False),
)
late_breach_key = Index("late_breach_key", late_breach.c.sensor, late_breach.c.rule, late_breach.c.at)
# The newest state of every incident, whole (`body`, JSON): a restart begins here. The columns are what is asked by.
incident = Table(
    "incident",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hazard", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("level", Integer, nullable=False),
    Column("version", Integer, nullable=False),  # 0: nothing of it was ever published
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("awaiting", Boolean, nullable=False),
    Column("standing", Boolean, nullable=False),  # sensors stand in it, open or not
    Column("body", Text, nullable=False),
    Index("incident_closed", "closed_at"),
    Index("incident_standing", "standing"),
    Index("incident_opened", "opened_at", "id"),
)
# One row a version, whole (`notice`, JSON), also of what is planned, which is no incident. `seq` never goes back: it is
# what listeners resume from.
notice = Table(
    "notice",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("incident", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("hazard", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("arrival", BigInteger, nullable=False),
    Column("entry", BigInteger),  # position of the entry that called for it; None: a person's act did
    Column("planned", Boolean, nullable=False),
    Column("notice", Text, nullable=False),
    UniqueConstraint("incident", "version"),
    Index("notice_place", "area", "hazard", "drill", "seq"),
    sqlite_autoincrement=True,
)
# One row a driving of a dead letter: who, when, and what became of it. Letters lie in the journal; the position beside
# the id tells those apart that got the same id after every older letter was forgotten.
driven = Table(
    "driven",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("letter", BigInteger, nullable=False),
    Column("letter_position", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("corrected", Boolean, nullable=False),
    Column("position", BigInteger),  # of the entry with its readings; None: nothing in it was new
    Column("accepted", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("conflicts", Integer, nullable=False),
    Column("refused", Text, nullable=False),  # JSON: reason -> readings
    Index("driven_letter", "letter", "letter_position"),
    sqlite_autoincrement=True,
)
# One row: up to which notice, and whom of the next one, messages have been made.
fan_out = Table(
    "fan_out",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False),
)
# What a version says, written once, so that a second sending says the same under the same key.
content = Table(
    "content",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),  # JSON
    Column("code", Text, unique=True),  # by which people ask whether it is genuine (alerts/proof/code.py)
)
message = Table(
    "message",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("seq", BigInteger, nullable=False),  # of the notice
    Column("incident", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("renewed", Integer, nullable=False),  # how often it was made due again after a lost session
    Column("created_at", BigInteger, nullable=False),
    Column("next_try_at", BigInteger),  # None: nothing more to do
    Column("sent_at", BigInteger),
    Column("error", Text, nullable=False),
    UniqueConstraint("incident", "version", "channel", "recipient"),
    Index("message_due", "channel", "next_try_at", "id"),
    Index("message_of_recipient", "channel", "recipient", "seq"),
    Index("message_status", "channel", "status"),
)
# One row a silence or planned outage, whole (`body`, JSON); one that was ended early has the moment of that.
silence = Table(
    "silence",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("planned", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Index("silence_until", "until"),
)
# One row an entering: the newest one says what is in force.
official_level = Table(
    "official_level",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)

# -- people and their audit ------------------------------------------------------------------------------------------
# Who works with warnings. Nobody is deleted: the audit names them.
account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("areas", Text, nullable=False),  # JSON; none: the whole city
    Column("hazards", Text, nullable=False),  # JSON; none: all
    Column("centre", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
)
# A token is looked up by its public part, `id`; of its secret only the SHA-256 is kept.
access_token = Table(
    "access_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", BigInteger),
    Index("access_token_account", "account"),
)
# What people did, one row an act, chained by hashes (alerts/ledger/audit.py). Rows are added, and nothing else.
audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 without a gap
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON: what was asked
    Column("answer", Text, nullable=False),  # JSON: what came of it; the same key again is answered with it
    Column("key", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("by", "key"),
    Index("audit_object", "object", "seq"),
)


# Against a slip of ours. Whoever can write the file can drop these: he is what the chain is for.
for _change in ("UPDATE", "DELETE"):
    event.listen(audit, "after_create", DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER audit_no_{_change.lower()} BEFORE {_change} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
    ).execute_if(dialect="sqlite"))  # fmt: skip


# ---- why
# One row a decision about an incident, with its reason; `number` counts those of one incident from 0, also the ones
# that have been dropped since (alerts/ledger/why.py says which).
decision = Table(
    "decision",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("incident", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("entry", BigInteger),  # position of the entry that called for it; None: a person's act did
    Column("what", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("sensor", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    UniqueConstraint("incident", "number"),
)
# One row a call of operators; `to`: JSON, names of users.
call = Table(
    "call",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("incident", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("to", Text, nullable=False),
    Column("asks", Text, nullable=False),
    Column("level", Integer, nullable=False),
    UniqueConstraint("incident", "number", "at"),
)


# ---- CAP: what goes out as CAP 1.2, and what came in from elsewhere

# One row: up to which notice documents have been made.
cap_progress = Table(
    "cap_progress",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
)
# One row a document, written before it goes out: a restart sends the same one again, and never makes another.
cap = Table(
    "cap",
    metadata,
    Column("seq", _Serial, primary_key=True),
    Column("identifier", Text, nullable=False, unique=True),
    Column("incident", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("renewal", Integer, nullable=False),  # 0: the version's own
    Column("area", Text, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("ends", Boolean, nullable=False),
    Column("sender", Text, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("sent_text", Text, nullable=False),  # to the letter: later documents refer to it
    Column("expires", BigInteger, nullable=False),
    Column("renew_at", BigInteger),  # None: it is not renewed any more
    Column("superseded", Boolean, nullable=False),
    Column("published", Boolean, nullable=False),
    Column("xml", Text, nullable=False),
    UniqueConstraint("incident", "version", "renewal"),
    Index("cap_standing", "superseded", "expires"),
    Index("cap_unpublished", "published", "seq"),
    Index("cap_renewal", "renew_at"),
    sqlite_autoincrement=True,
)
# The newest documents that operators brought from the hydromet office and others.
cap_received = Table(
    "cap_received",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("sent", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("xml", Text, nullable=False),
    UniqueConstraint("sender", "identifier", "sent"),
    sqlite_autoincrement=True,
)
