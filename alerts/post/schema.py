"""The tables of the post: what is to be said, to which contacts, and what became of it. No address, no name.

Times are ms UTC. `contact` is a number of alerts/residents/schema.py, which the same connection reads as `people`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION: Final = 1

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")

# One row: up to which notice and errand tellings have been made, and up to which call of operators errands.
progress = Table(
    "progress",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("notice", BigInteger, nullable=False),
    Column("errand", BigInteger, nullable=False),
    Column("call", BigInteger, nullable=False),
)
# One row a notice of the ledger that residents are told, and one an errand (`seq` below 0: minus its number).
telling = Table(
    "telling",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("incident", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("hazard", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("arrival", BigInteger, nullable=False),
    Column("event", Text, nullable=False),  # the city event; ""
    Column("lane", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("entry", BigInteger),
    Column("leader", BigInteger, nullable=False),  # the first notice of those that are told as one; mostly itself
    Column("after", BigInteger),  # contacts up to here have their messages; None: all have
    Index("telling_open", "after", "lane", "seq"),
    Index("telling_incident", "incident", "seq"),
    Index("telling_leader", "leader"),
    Index("telling_event", "event", "arrival"),
)
# What is said, by the notices that it is made of ("17", "17+18"): the same words at every try.
content = Table(
    "content",
    metadata,
    Column("notices", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),  # the newest of these notices
    Column("body", Text, nullable=False),  # JSON
)
message = Table(
    "message",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("via", Text, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("heard_only", Boolean, nullable=False),  # of interest to those alone who heard of the incident before
    Column("leader", BigInteger),  # the message that this one is told with
    Column("created_at", BigInteger, nullable=False),
    Column(
        "since", BigInteger, nullable=False
    ),  # so long the contact waits: also for versions that gave way to this one
    Column("next_try_at", BigInteger),  # while it is sent: the end of the lease; None: nothing more to do
    Column("expires_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("received_at", BigInteger),  # the provider says that it arrived
    Column("provider_id", Text, nullable=False),
    Column("maybe", Boolean, nullable=False),  # a try without an answer: it may have arrived
    Column("fell_back", Boolean, nullable=False),  # the resident's fallback contacts have messages because of it
    Column("error", Text, nullable=False),
    UniqueConstraint("seq", "contact"),  # the key: incident and version are the notice's, the channel the contact's
)
# Only what is still to be done stands in it, whatever the size of the table.
message_due = Index(
    "message_due", message.c.via, message.c.lane, message.c.next_try_at, message.c.id,
    sqlite_where=message.c.next_try_at.is_not(None), postgresql_where=message.c.next_try_at.is_not(None),
)  # fmt: skip
message_provider = Index(
    "message_provider", message.c.provider_id,
    sqlite_where=message.c.provider_id != "", postgresql_where=message.c.provider_id != "",
)  # fmt: skip
message_leader = Index(
    "message_leader", message.c.leader,
    sqlite_where=message.c.leader.is_not(None), postgresql_where=message.c.leader.is_not(None),
)  # fmt: skip
# Messages that count against a contact's daily number.
told = Table(
    "told",
    metadata,
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Text, primary_key=True),  # local, YYYY-MM-DD
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)
# Messages handed to a provider that takes so many a day, by local day.
spent = Table(
    "spent",
    metadata,
    Column("via", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)
