"""The tables of residents: who wants to hear what, where, by which channel. Addresses stand here sealed, nowhere else.

Times are ms UTC. What was sent to whom is in the post's own file (alerts/post/schema.py), by the number of a contact.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION: Final = 1

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")

# One row a person, a household's proxy, a leader of a ward group, or a user who is called.
resident = Table(
    "resident",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("state", Text, nullable=False),  # pending, active, ended
    Column("lang", Text, nullable=False),
    Column("quiet", Text, nullable=False),  # "22:00-07:00", local time; "": no quiet hours
    Column("daily_cap", Integer, nullable=False),  # messages a contact a local day that are neither danger nor an end
    Column("proxy_for", LargeBinary),  # sealed: for whom else this one listens
    Column("leads", BigInteger),  # the ward group whose leader this is
    Column("staff", Text),  # the name of the user whose calls this one gets; he has no subscriptions
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    Column("ended_at", BigInteger),
    sqlite_autoincrement=True,  # numbers are never used again: the post's messages name them
)
resident_leads = Index(
    "resident_leads", resident.c.leads,
    sqlite_where=resident.c.leads.is_not(None), postgresql_where=resident.c.leads.is_not(None),
)  # fmt: skip
resident_staff = Index(
    "resident_staff", resident.c.staff,
    sqlite_where=resident.c.staff.is_not(None), postgresql_where=resident.c.staff.is_not(None),
)  # fmt: skip
# What a resident chose, as he sees it.
subscription = Table(
    "subscription",
    metadata,
    Column("resident", BigInteger, primary_key=True),
    Column("area", Text, primary_key=True),
    Column("hazard", Text, primary_key=True),
    Column("floor", Integer, nullable=False),  # the level from which he wants to hear, 1-4
)
contact = Table(
    "contact",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("resident", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("via", Text, nullable=False),  # "mail", or "webpush:fcm.googleapis.com": who carries it
    Column("address", LargeBinary, nullable=False),  # sealed (alerts/residents/seal.py); empty once it has ended
    Column("digest", LargeBinary, nullable=False),  # by which an address is found again; empty once it has ended
    Column("fallback", Boolean, nullable=False),  # only where the others did not get through
    Column("state", Text, nullable=False),  # pending, active, gone, ended
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    Column("ended_at", BigInteger),  # or gone since
    Index("contact_resident", "resident"),
    Index("contact_digest", "channel", "digest"),
    Index("contact_via", "via"),
    sqlite_autoincrement=True,
)
# The subscriptions once more, as the post reads them, in the order in which messages are made: a row for each active
# contact that is no fallback; where the others are all gone, for each active fallback. Whoever changes one of the three
# above changes this in the same transaction (targets.py).
target = Table(
    "target",
    metadata,
    Column("area", Text, primary_key=True),
    Column("hazard", Text, primary_key=True),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("floor", Integer, nullable=False),
    Column("via", Text, nullable=False),
    Index("target_contact", "contact"),
    sqlite_with_rowid=False,
)
# What is to be said to one contact without any notice: a code, a digest. The post makes a message of each.
errand = Table(
    "errand",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("contact", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, unique=True),  # what it is made of: nothing becomes two errands
    Column("lane", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # sealed JSON: texts by language, and what its kind needs
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("errand_expiry", "expires_at"),
    sqlite_autoincrement=True,
)
# What was agreed to, in the words that were shown, and when it ended. Rows are added and never changed; they name no
# address.
consent = Table(
    "consent",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("resident", BigInteger, nullable=False),
    Column("contact", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("what", Text, nullable=False),  # asked, confirmed, changed, ended, gone, exported, deleted
    Column("text", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Index("consent_resident", "resident"),
    sqlite_autoincrement=True,
)
# Secrets that a resident holds. `use`: manage, confirm, answer: of the secret only a SHA-256. code: six digits, which
# are tried in no time, so that what is kept of them is keyed (seal.py); "" is the code that nobody has.
key = Table(
    "key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("use", Text, nullable=False),
    Column("resident", BigInteger, nullable=False),
    Column("contact", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("tries", Integer, nullable=False),
    Index("key_resident", "resident"),
    Index("key_expiry", "expires_at"),
)

# ---- ward groups
group = Table(
    "ward_group",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("area", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("households", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("area", "name"),
    sqlite_autoincrement=True,
)
# One row an answer: a leader's, or one that a user wrote down. What they say together: alerts/people/group_state.py.
answer = Table(
    "group_answer",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("group", BigInteger, nullable=False),
    Column("incident", Text, nullable=False),
    Column("version", Integer, nullable=False),  # the newest that asked for an answer; 0: none had
    Column("at", BigInteger, nullable=False),
    Column("says", Text, nullable=False),  # told, needs_help, unclear
    Column("note", LargeBinary, nullable=False),  # sealed: it may name people
    Column("resident", BigInteger),  # the leader; None: a user's word
    Column("by", Text, nullable=False),  # "contact 17", or the name of the user
    Index("group_answer_incident", "incident", "group", "id"),
    sqlite_autoincrement=True,
)
# Replies that were taken, for as long as a provider may bring them again.
reply = Table(
    "reply",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # of the provider's number of it, which may say whose it is
    Column("at", BigInteger, nullable=False),
    Index("reply_at", "at"),
    sqlite_with_rowid=False,
)
