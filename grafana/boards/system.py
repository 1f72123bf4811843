"""The system itself: is every part ready, how far behind is it, what goes wrong."""

from __future__ import annotations

from grafana.asks import Service
from grafana.board import Board, Scene
from grafana.kinds import figures, lines, states
from grafana.levels import CLOCK, READY, worst_of
from grafana.panels import Panel
from grafana.units import NONE, SECONDS
from grafana.words import Tree, Words


def board(_: Scene) -> Board:
    return Board(
        "system",
        Words("Hệ thống", "The system"),
        Words(
            "Các phần của dịch vụ: sẵn sàng, độ trễ, lỗi.", "The parts of the service: ready, how far behind, errors."
        ),
        (
            figures(Words("Đồng hồ", "Clock"), [Service("canhbao_clock_simulated")], NONE, mapping=CLOCK),
            figures(
                Words("Vị trí nhật ký", "Position of the journal"),
                [Service("canhbao_journal_position")],
                NONE,
                decimals=0,
            ),
            figures(
                Words("Khởi động lại máy chủ MQTT", "Restarts of the bundled broker"),
                [Service("canhbao_broker_restarts_total")],
                NONE,
                calc="delta",
                steps=worst_of(1),
            ),
            figures(
                Words("Chủ đề bị từ chối", "Topics refused"),
                [Service("canhbao_topics_refused")],
                NONE,
                steps=worst_of(1),
            ),
            states(
                Words("Các phần sẵn sàng", "Parts ready"),
                [Service("canhbao_part_ready", legend="{{part}}")],
                READY,
                width=12,
                height=9,
            ),
            lines(
                Words("Độ trễ của từng phần", "How far each part is behind"),
                [Service("canhbao_part_lag_seconds", legend="{{part}}")],
                SECONDS,
            ),
            _mean(
                "canhbao_journal_commit_seconds",
                Words("Ghi nhật ký xuống đĩa, trung bình từ khi khởi động", "An entry onto disk, mean since the start"),
            ),
            _mean(
                "canhbao_turn_seconds",
                Words(
                    "Một vòng từ nhận tới quyết định, trung bình từ khi khởi động",
                    "One turn from drain to ledger, mean since the start",
                ),
            ),
            lines(
                Words("Lỗi theo vòng lặp", "Errors by loop"), [Service("canhbao_errors_total", legend="{{loop}}")], NONE
            ),
            lines(
                Words("Lỗi của máy chủ MQTT", "Errors of the broker"), [Service("canhbao_broker_errors_total")], NONE
            ),
        ),
    )


def _mean(metric: str, title: Words) -> Panel:
    """Of a summary: its sum divided by its count, which Grafana does, as our endpoint does no arithmetic."""
    divided: Tree = {
        "id": "calculateField",
        "options": {
            "mode": "binary",
            "alias": _MEAN,
            "binary": {"left": "sum", "operator": "/", "right": "count"},
            "replaceFields": True,
        },
    }
    asked = [Service(f"{metric}_sum", legend="sum"), Service(f"{metric}_count", legend="count")]
    return lines(title, asked, SECONDS, transformations=({"id": "joinByField", "options": {}}, divided))


_MEAN = Words("trung bình", "mean")
