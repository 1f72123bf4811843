"""Gateways and ingest: who is there, whose clock is off, what comes in and what is refused."""

from __future__ import annotations

from grafana.asks import Service
from grafana.board import Board, Scene
from grafana.kinds import figures, lines, listing, states
from grafana.levels import THERE, worst_of
from grafana.panels import Panel, heading
from grafana.units import MOMENT, NONE, SECONDS
from grafana.words import Tree, Words

_GATEWAY = Words("Cổng", "Gateway")


def board(_: Scene) -> Board:
    return Board(
        "gateways",
        Words("Cổng và tiếp nhận số liệu", "Gateways and ingest"),
        Words(
            "Cổng nào có mặt, đồng hồ lệch bao nhiêu, số liệu vào và bị từ chối. Bộ đếm tính từ khi dịch vụ khởi động.",
            "Which gateways are there, how far their clocks are off, what comes in and what is refused. Counters count "
            "from the start of the service.",
        ),
        (
            _risen("canhbao_messages_total", Words("Tin nhắn đã nhận", "Messages taken")),
            _risen("canhbao_readings_total", Words("Số đo đã lưu", "Readings stored")),
            _risen("canhbao_duplicates_total", Words("Số đo lặp lại", "Readings known already")),
            _risen("canhbao_late_total", Words("Số đo đến muộn", "Readings too late")),
            states(
                Words("Cổng có mặt", "Gateways there"),
                [Service("canhbao_gateway_online", legend="{{gateway}}")],
                THERE,
                width=12,
                height=9,
            ),
            _heard(),
            lines(
                Words("Đồng hồ cổng lệch (dương: chạy trước)", "Clocks of gateways (above zero: ahead)"),
                [Service("canhbao_gateway_clock_offset_seconds", legend="{{gateway}}")],
                SECONDS,
                about=Words(
                    "Quá 300 s chạy trước: số đo bị từ chối (from_the_future).",
                    "More than 300 s ahead: readings are refused (from_the_future).",
                ),
            ),
            lines(
                Words("Cổng gửi lại và gửi khác", "Repeats and conflicts by gateway"),
                [
                    Service(
                        "canhbao_gateway_duplicates_total", legend=Words("lặp lại {{gateway}}", "known {{gateway}}")
                    ),
                    Service(
                        "canhbao_gateway_conflicts_total",
                        legend=Words("khác giá trị {{gateway}}", "conflict {{gateway}}"),
                    ),
                ],
                NONE,
            ),
            heading(Words("Bị từ chối và chất lượng", "Refused, and quality")),
            lines(
                Words("Bị từ chối theo lý do", "Refused by reason"),
                [Service("canhbao_refused_total", legend="{{reason}}")],
                NONE,
            ),
            lines(
                Words("Kiểm tra chất lượng (cờ 3, 4)", "Quality tests (flags 3, 4)"),
                [Service("canhbao_quality_total", legend=Words("{{test}} cờ {{flag}}", "{{test}} flag {{flag}}"))],
                NONE,
            ),
            heading(Words("Hàng chờ và máy chủ MQTT", "Queues and the broker")),
            lines(
                Words("Đang chờ", "Waiting"),
                [
                    Service("canhbao_inbox_messages", legend=Words("hộp nhận", "inbox")),
                    Service("canhbao_backfill_waiting", legend=Words("số liệu cũ", "old spools")),
                ],
                NONE,
            ),
            lines(
                Words("Vượt giới hạn theo nơi gửi", "Beyond their rate, by sender"),
                [Service("canhbao_rate_limited_total", legend="{{gateway}}{{device}}")],
                NONE,
            ),
            _trouble("canhbao_shed_total", Words("Hộp nhận đầy: để lại máy chủ", "Full inbox: left to the broker")),
            _trouble("canhbao_lost_total", Words("Mất (QoS 0)", "Lost (QoS 0)")),
            _trouble("canhbao_reconnects_total", Words("Kết nối lại", "Reconnects")),
            _trouble("canhbao_sessions_lost_total", Words("Mất phiên ở máy chủ", "Sessions lost at the broker")),
        ),
    )


def _risen(metric: str, title: Words) -> Panel:
    return figures(title, [Service(metric)], NONE, calc="delta", decimals=0)


def _trouble(metric: str, title: Words) -> Panel:
    return figures(title, [Service(metric)], NONE, calc="delta", decimals=0, steps=worst_of(1))


def _heard() -> Panel:
    """Seconds since 1970, which Grafana shows as a moment once they are milliseconds."""
    milliseconds: Tree = {
        "id": "calculateField",
        "options": {
            "mode": "binary",
            "alias": _HEARD,
            "binary": {"left": "Value", "operator": "*", "right": "1000"},
            "replaceFields": False,
        },
    }
    hidden: Tree = {
        "id": "organize",
        "options": {"excludeByName": {"Value": True}, "indexByName": {}, "renameByName": {}},
    }
    asked = Service("canhbao_gateway_heard_timestamp_seconds", now=True)
    return listing(
        Words("Nghe lần cuối", "Last heard"),
        asked,
        MOMENT,
        {"gateway": _GATEWAY},
        number=_HEARD,
        transformations=(milliseconds, hidden),
        falling=False,
    )


_HEARD = Words("Lúc", "At")
