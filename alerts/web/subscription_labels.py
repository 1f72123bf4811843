"""What stands on the small pages of a subscription, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from alerts.words.names import Lang


@dataclass(frozen=True, slots=True)
class Labels:
    title: str
    language: str
    skip: str
    ask: str  # before an end
    end: str
    ended: str
    unknown: str
    failed: str
    home: str
    script: str  # where there is no JavaScript
    no_link: str
    confirm: str
    confirm_button: str
    confirmed: str
    keep: str
    refused: str
    away: str
    yours: str
    end_all: str
    end_all_done: str
    delete: str
    delete_sure: str
    deleted: str


LABELS: Final[Mapping[Lang, Labels]] = {
    "vi": Labels(
        title="Đăng ký nhận cảnh báo",
        language="Ngôn ngữ",
        skip="Đến nội dung",
        ask="Dừng gửi cảnh báo đến địa chỉ này?",
        end="Dừng nhận cảnh báo",
        ended="Đã dừng. Địa chỉ này không nhận cảnh báo nữa và đã được xóa.",
        unknown="Liên kết này không đúng. Không có gì thay đổi.",
        failed="Chưa dừng được, xin thử lại sau ít phút.",
        home="Trang cảnh báo",
        script="Trang này cần JavaScript. Có thể nhập mã đã nhận qua ứng dụng, hoặc nhờ phường giúp.",
        no_link="Mở liên kết trong tin nhắn của chúng tôi để xác nhận hoặc xem đăng ký của bạn.",
        confirm="Xác nhận rằng bạn muốn nhận cảnh báo ở địa chỉ này?",
        confirm_button="Xác nhận",
        confirmed="Đã xác nhận. Bạn sẽ nhận cảnh báo.",
        keep="Lưu địa chỉ trang này để xem, sửa hoặc dừng. Ai có địa chỉ này cũng làm được.",
        refused="Liên kết này đã hết hạn hoặc không đúng. Xin đăng ký lại.",
        away="Không kết nối được, xin thử lại.",
        yours="Đăng ký của bạn",
        end_all="Dừng tất cả",
        end_all_done="Đã dừng. Bạn không nhận cảnh báo nữa.",
        delete="Xóa dữ liệu của tôi",
        delete_sure="Xóa tất cả dữ liệu của bạn?",
        deleted="Đã xóa.",
    ),
    "en": Labels(
        title="Warnings for you",
        language="Language",
        skip="To the content",
        ask="Send no more warnings to this address?",
        end="Send no more warnings",
        ended="Done. This address gets no more warnings, and has been deleted.",
        unknown="This link is not right. Nothing has changed.",
        failed="It could not be done; please try again in some minutes.",
        home="Warnings now",
        script="This page needs JavaScript. Your ward can help you.",
        no_link="Open the link in our message to confirm or see your subscription.",
        confirm="Do you want to be sent warnings at this address?",
        confirm_button="Confirm",
        confirmed="Confirmed. You will be sent warnings.",
        keep="Keep the address of this page to see, change or end it. Whoever has it can do so.",
        refused="This link is too old or not right. Please sign up again.",
        away="No connection, please try again.",
        yours="Your subscription",
        end_all="End all",
        end_all_done="Done. You will get no more warnings.",
        delete="Delete my data",
        delete_sure="Delete everything that is kept about you?",
        deleted="Deleted.",
    ),
}
