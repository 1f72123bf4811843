"""The metrics of the service as Prometheus text (exposition format 0.0.4). Pure: numbers in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from alerts.view import View
from processing.transitions import Status

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PARTS: Final = {"summary": ("_sum", "_count"), "histogram": ("_bucket", "_sum", "_count")}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: `kind` counter, gauge, summary, histogram or untyped."""

    name: str
    kind: str
    help: str


FAMILIES: Final = {
    family.name: family
    for family in (
        Family("canhbao_messages_total", "counter", "MQTT messages taken from the inbox."),
        Family("canhbao_readings_total", "counter", "Readings accepted and written to the journal."),
        Family(
            "canhbao_refused_total", "counter", "Readings or messages refused, by reason; they lie in the dead letters."
        ),
        Family(
            "canhbao_dead_letters_dropped_total",
            "counter",
            "Refusals beyond a gateway's daily room; only counted here.",
        ),
        Family("canhbao_driven_total", "counter", "Dead letters that operators have driven again."),
        Family("canhbao_duplicates_total", "counter", "Readings that were known already."),
        Family("canhbao_conflicts_total", "counter", "Readings known already with another value; the first stands."),
        Family(
            "canhbao_late_total", "counter", "Readings too old for every window of their sensor; stored, not judged."
        ),
        Family(
            "canhbao_quality_total", "counter", "Findings of the quality tests, by test and flag: 3 suspect, 4 fail."
        ),
        Family("canhbao_backfill_messages_total", "counter", "Messages of old spools that have come."),
        Family("canhbao_backfill_waiting", "gauge", "Messages of old spools that have come and wait for their turn."),
        Family("canhbao_rate_limited_total", "counter", "Messages beyond what their sender may say; not stored."),
        Family("canhbao_gateway_online", "gauge", "1 where the gateway says that it is there, 0 where its will spoke."),
        Family("canhbao_device_online", "gauge", "The same of a device of another network that has a will."),
        Family("canhbao_device_heard_timestamp_seconds", "gauge", "Its last message, seconds since 1970."),
        Family("canhbao_gateway_heard_timestamp_seconds", "gauge", "Last message of the gateway, seconds since 1970."),
        Family("canhbao_gateway_clock_offset_seconds", "gauge", "How far the gateway's clock is ahead of ours."),
        Family("canhbao_gateway_duplicates_total", "counter", "Readings of the gateway that were known already."),
        Family("canhbao_gateway_conflicts_total", "counter", "Known readings that came with another value."),
        Family("canhbao_inbox_messages", "gauge", "Messages that have come and wait for their turn."),
        Family(
            "canhbao_shed_total", "counter", "Messages that a full inbox had no room for; the broker sends them again."
        ),
        Family("canhbao_lost_total", "counter", "Messages of quality of service 0 that a full inbox had no room for."),
        Family("canhbao_repeated_total", "counter", "Messages that the broker sent again while they were under way."),
        Family("canhbao_retained_again_total", "counter", "Copies of retained messages that are dead letters already."),
        Family("canhbao_reconnects_total", "counter", "Connections to the broker after the first."),
        Family(
            "canhbao_sessions_lost_total", "counter", "Times that the broker had forgotten us and what it kept for us."
        ),
        Family(
            "canhbao_stale_acks_total",
            "counter",
            "Acknowledgements that came after their connection and were not sent.",
        ),
        Family("canhbao_topics_refused", "gauge", "Topics that the broker does not let the collector subscribe."),
        Family(
            "canhbao_broker_restarts_total", "counter", "Times that the bundled broker ended and was started again."
        ),
        Family("canhbao_broker_errors_total", "counter", "Errors that the bundled broker logged; they are in our log."),
        Family("canhbao_imported_total", "counter", "Readings that operators have imported from files."),
        Family("canhbao_history_position", "gauge", "Position of the journal up to which the history has followed."),
        Family("canhbao_history_readings_total", "counter", "Readings that have gone into the history."),
        Family("canhbao_history_retries_total", "counter", "Times that the history was away or full, and tried again."),
        Family("canhbao_history_gaps_total", "counter", "Times that the journal no longer had what the history lacks."),
        Family("canhbao_history_refused_total", "counter", "Readings that the history's server will never take."),
        Family("canhbao_history_restarts_total", "counter", "Times that the history's process ended by itself."),
        Family("canhbao_receipts_total", "counter", "Receipts sent to gateways."),
        Family("canhbao_transitions_total", "counter", "Changes of level of a sensor under a rule."),
        Family("canhbao_notices_total", "counter", "Versions of incidents."),
        Family("canhbao_calls_total", "counter", "Calls of operators, to approve or to acknowledge."),
        Family("canhbao_messages_sent_total", "counter", "Warnings delivered, by channel."),
        Family("canhbao_messages_failed_total", "counter", "Sendings that a channel refused, by channel."),
        Family("canhbao_messages_waiting", "gauge", "Warnings that are made and not delivered, by channel."),
        Family(
            "canhbao_messages_superseded_total",
            "counter",
            "Messages that a newer version of the same took the place of, by channel.",
        ),
        Family(
            "canhbao_breaker_open", "gauge", "1 while nothing is sent to the provider because it failed, by channel."
        ),
        Family("canhbao_post_messages_made_total", "counter", "Messages to residents made of notices."),
        Family(
            "canhbao_post_fallbacks_total",
            "counter",
            "Messages made because the first way did not get through in time.",
        ),
        Family(
            "canhbao_post_waiting",
            "gauge",
            "Messages to residents that are made and not done with, by channel and lane.",
        ),
        Family("canhbao_post_failures_total", "counter", "Errors that a loop of the post logged and went on from."),
        Family("canhbao_post_restarts_total", "counter", "Times that the post's process ended by itself."),
        Family("canhbao_post_calls_total", "counter", "Messages to operators made of calls."),
        Family(
            "canhbao_post_calls_unreached_total", "counter", "Operators who were called and have no way to be reached."
        ),
        Family("canhbao_sms_messages_total", "counter", "Short messages that the gateway took."),
        Family("canhbao_sms_segments_total", "counter", "What the network counts for them: parts of a message."),
        Family("canhbao_zalo_access_token_seconds", "gauge", "How long the access token of the Zalo account is good."),
        Family("canhbao_zalo_refresh_token_seconds", "gauge", "How long its refresh token is good."),
        Family(
            "canhbao_zalo_token_refused", "gauge", "1 where Zalo refuses the token: somebody has to authorize anew."
        ),
        Family("canhbao_cap_documents_total", "counter", "CAP documents made for versions of warnings."),
        Family("canhbao_cap_renewals_total", "counter", "CAP documents made anew at half life."),
        Family("canhbao_cap_published_total", "counter", "CAP documents given to the MQTT broker."),
        Family("canhbao_cap_faulty_total", "counter", "CAP documents that could not be made or failed our rules."),
        Family("canhbao_errors_total", "counter", "Errors that a loop logged and went on from, by loop."),
        Family("canhbao_journal_commit_seconds", "histogram", "Time for one entry of the journal to be on disk."),
        Family("canhbao_turn_seconds", "histogram", "Time for one turn of the loop, from drain to ledger."),
        Family(
            "canhbao_decision_seconds",
            "histogram",
            "From the coming of a turn's oldest message to the ledger having what was called for; without old spools.",
        ),
        Family(
            "canhbao_delivery_seconds",
            "histogram",
            "From a message's being made to its channel having it, by channel; without those that are sent again.",
        ),
        Family("canhbao_journal_position", "gauge", "Newest position of the journal that has been judged."),
        Family(
            "canhbao_arrival_timestamp_seconds", "gauge", "Newest arrival that has been judged, seconds since 1970."
        ),
        Family("canhbao_clock_simulated", "gauge", "1 where time is that of the data and not that of the wall."),
        Family("canhbao_sensors", "gauge", "Sensors of the registry by how they are heard."),
        Family("canhbao_sensors_at_level", "gauge", "Sensors of the registry by their highest level, 0 to 4."),
        Family("canhbao_part_ready", "gauge", "1 where the part of the service does its work."),
        Family("canhbao_part_lag_seconds", "gauge", "How far the part is behind."),
        Family("canhbao_listeners", "gauge", "Listeners connected to the stream of events."),
        Family("canhbao_listeners_dropped_total", "counter", "Listeners disconnected because they read too slowly."),
        Family("canhbao_events_errors_total", "counter", "Errors of the loop that feeds the stream of events."),
        Family(
            "canhbao_group_alerts", "gauge", "Ward groups by how they stand to open warnings, once for each warning."
        ),
        Family("canhbao_group_replies_total", "counter", "Replies that providers brought, by what came of them."),
        Family("canhbao_group_links_total", "counter", "Answers by the links of leaders, by what came of them."),
        Family("canhbao_notice_seq", "gauge", "Newest notice that went to the stream of events."),
    )
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: `name` may carry labels, as in `canhbao_refused_total{reason="too_old"}`."""

    name: str
    value: float


def metrics_text(samples: Iterable[Sample]) -> str:
    """Every sample under its family's HELP and TYPE, families in the order of their names."""
    families: dict[str, tuple[Family, list[str]]] = {}
    for sample in samples:
        family = _family(sample.name)
        families.setdefault(family.name, (family, []))[1].append(f"{sample.name} {_number(sample.value)}")
    lines = []
    for _, (family, rows) in sorted(families.items()):
        lines += [f"# HELP {family.name} {_help(family.help)}", f"# TYPE {family.name} {family.kind}", *rows]
    return "\n".join(lines) + "\n"


def of_counters(counters: Mapping[str, float]) -> list[Sample]:
    """The counters that the spine keeps, by name (CONTRACTS names them in the metrics' own spelling)."""
    return [Sample(name, value) for name, value in sorted(counters.items())]


def of_view(view: View) -> list[Sample]:
    heard = dict.fromkeys(Status, 0)
    for id_, status in zip(view.sensor_ids, view.status, strict=True):
        heard[status] += id_ in view.city.sensors
    known = np.array([id_ in view.city.sensors for id_ in view.sensor_ids], bool)
    at_level = np.bincount(view.level[known], minlength=5)
    return [
        Sample("canhbao_journal_position", view.position),
        Sample("canhbao_arrival_timestamp_seconds", view.arrival / 1000),
        Sample("canhbao_clock_simulated", view.clock == "data"),
        *(Sample(labelled("canhbao_sensors", status=status.value), count) for status, count in heard.items()),
        *_of_gateways(view),
        *_of_devices(view),
        *(Sample(labelled("canhbao_sensors_at_level", level=str(k)), int(n)) for k, n in enumerate(at_level)),
    ]


def _of_gateways(view: View) -> Iterator[Sample]:
    for gateway in view.gateways:
        found = {
            "canhbao_gateway_online": gateway.online,
            "canhbao_gateway_heard_timestamp_seconds": gateway.heard_at and gateway.heard_at / 1000,
            "canhbao_gateway_clock_offset_seconds": gateway.clock_offset_ms and gateway.clock_offset_ms / 1000,
            "canhbao_gateway_duplicates_total": gateway.duplicates or None,
            "canhbao_gateway_conflicts_total": gateway.conflicts or None,
        }
        yield from (Sample(labelled(name, gateway=gateway.id), value) for name, value in found.items()
                    if value is not None)  # fmt: skip


def _of_devices(view: View) -> Iterator[Sample]:
    """Two lines each, there may be thousands; the rest is in the health API."""
    for device in view.devices:
        if device.online is not None:
            yield Sample(labelled("canhbao_device_online", device=device.id), device.online)
        if device.heard_at is not None:
            yield Sample(labelled("canhbao_device_heard_timestamp_seconds", device=device.id), device.heard_at / 1000)


def labelled(name: str, **labels: str) -> str:
    """`name{label="value"}`, escaped as the format asks."""
    inside = ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _family(sample_name: str) -> Family:
    match = _NAME.match(sample_name)
    if match is None:
        raise ValueError(f"{sample_name!r} is no name of a metric")
    name = match[0]
    if name in FAMILIES:
        return FAMILIES[name]
    for suffix in ("_bucket", "_sum", "_count"):
        family = FAMILIES.get(name.removesuffix(suffix))
        if family is not None and suffix in _PARTS.get(family.kind, ()):
            return family
    return Family(name, "counter" if name.endswith("_total") else "untyped", "See the code that counts it.")


def _number(value: float) -> str:
    if value != value:  # NaN  # noqa: PLR0124  # the plainest test there is
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
