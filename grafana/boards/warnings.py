"""Warnings and deliveries: what was decided, what was told, what did not arrive."""

from __future__ import annotations

from grafana.asks import Service
from grafana.board import TAG, Board, Scene
from grafana.charts import level_key
from grafana.kinds import figures, lines
from grafana.levels import worst_of
from grafana.panels import heading, news, text
from grafana.units import NONE
from grafana.words import Words


def board(scene: Scene) -> Board:
    return Board(
        "warnings",
        Words("Cảnh báo và gửi tin", "Warnings and deliveries"),
        Words(
            "Quyết định nào, đã báo cho ai, tin nào không gửi được. Bộ đếm tính từ khi dịch vụ khởi động.",
            "What was decided, what was told, what did not arrive. Counters count from the start of the service.",
        ),
        (
            level_key(),
            news(Words("Cảnh báo", "Warnings"), (TAG,), height=12),
            text(Words("Vì sao", "Why"), _why(scene.service_url), height=12),
            heading(Words("Quyết định", "Decisions")),
            figures(
                Words("Đổi mức của cảm biến", "Changes of level"),
                [Service("canhbao_transitions_total")],
                NONE,
                calc="delta",
            ),
            figures(
                Words("Phiên bản cảnh báo", "Versions of warnings"),
                [Service("canhbao_notices_total")],
                NONE,
                calc="delta",
            ),
            figures(Words("Người theo dõi trực tuyến", "Listeners online"), [Service("canhbao_listeners")], NONE),
            figures(
                Words("Người theo dõi bị ngắt", "Listeners dropped"),
                [Service("canhbao_listeners_dropped_total")],
                NONE,
                calc="delta",
                steps=worst_of(1),
            ),
            heading(Words("Gửi tin", "Deliveries")),
            lines(
                Words("Đã gửi, theo kênh", "Sent, by channel"),
                [Service("canhbao_messages_sent_total", legend="{{channel}}")],
                NONE,
            ),
            lines(
                Words("Không gửi được, theo kênh", "Failed, by channel"),
                [Service("canhbao_messages_failed_total", legend="{{channel}}")],
                NONE,
            ),
        ),
    )


def _why(url: str) -> Words:
    return Words(
        f"""Mỗi cảnh báo trong danh sách có hai liên kết: **cảnh báo** và **vì sao** (cần quyền trực ban).

- [Cảnh báo đang có hiệu lực]({url}/api/v1/alerts?active=true)
- [Mọi cảnh báo]({url}/api/v1/alerts)
- [Trang cho người dân]({url}/)

Danh sách do lệnh `python -m grafana annotate` ghi vào Grafana.""",
        f"""Each warning of the list has two links: the **warning** and its **why** (for operators).

- [Warnings in force]({url}/api/v1/alerts?active=true)
- [All warnings]({url}/api/v1/alerts)
- [Residents' page]({url}/)

The list is written to Grafana by `python -m grafana annotate`.""",
    )
