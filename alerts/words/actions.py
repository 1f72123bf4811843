"""What to do, by hazard and level 1-4, in Vietnamese and English.

Nothing here tells anybody to evacuate: such a text is never automatic, it takes two persons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.words.names import Lang

_ACTIONS: Final[Mapping[Lang, Mapping[str, tuple[str, str, str, str]]]] = {
    "vi": {
        "rain": (
            "Mang áo mưa, tránh chỗ trũng.",
            "Hạn chế ra đường, kê cao đồ đạc.",
            "Tránh ngầm tràn, sườn dốc và đường ngập; ở yên nơi an toàn.",
            "Ở nơi cao, chắc chắn; không ra ngoài; gọi cứu hộ nếu mắc kẹt.",
        ),
        "flood": (
            "Đi chậm, tránh đường ngập; xe máy dễ chết máy.",
            "Không đi vào đường ngập; dời xe lên chỗ cao, kê cao đồ đạc.",
            "Không lội, không lái xe qua nước; ngắt điện tầng dưới; lên chỗ cao.",
            "Lên chỗ cao ngay; tránh xa dòng nước và dây điện; gọi cứu hộ nếu mắc kẹt.",
        ),
        "power": (
            "Điện có thể chập chờn: rút phích cắm thiết bị dễ hỏng.",
            "Chuẩn bị đèn pin, giữ pin điện thoại; không chạm dây điện.",
            "Tránh xa dây điện, cột điện và trạm điện; rút phích cắm thiết bị.",
            "Tránh xa dây điện và chỗ ngập; ai dùng máy thở hãy gọi hỗ trợ ngay.",
        ),
        "school": (
            "Nhà trường hãy kiểm tra và thông gió phòng học.",
            "Nhà trường hãy thông gió ngay và giảm thời gian trong phòng.",
            "Nhà trường hãy chuyển học sinh sang phòng khác.",
            "Nhà trường hãy đưa mọi người ra khỏi phòng ngay.",
        ),
        "toilet": (
            "Đơn vị quản lý hãy kiểm tra và thông gió.",
            "Hãy dùng nhà vệ sinh khác cho đến khi xử lý xong.",
            "Không vào cho đến khi xử lý xong.",
            "Không vào; ai thấy khó thở hãy ra chỗ thoáng và gọi cấp cứu.",
        ),
    },
    "en": {
        "rain": (
            "Take rain gear and avoid low spots.",
            "Go out only if you must; raise your belongings.",
            "Keep off fords, slopes and flooded roads; stay where it is safe.",
            "Stay high and indoors; do not go out; call for rescue if trapped.",
        ),
        "flood": (
            "Go slowly and avoid flooded roads; motorbikes may stall.",
            "Do not enter flooded roads; move vehicles and belongings higher.",
            "Do not walk or drive through water; cut downstairs power; go higher.",
            "Go higher now; keep away from water and wires; call for rescue if trapped.",
        ),
        "power": (
            "Power may be unsteady: unplug sensitive devices.",
            "Keep a torch and a charged phone; touch no wires.",
            "Keep away from wires, poles and transformers; unplug devices.",
            "Keep away from wires and flooded places; on a ventilator, call for help now.",
        ),
        "school": (
            "Schools: check and air the classrooms.",
            "Schools: air the rooms now and shorten the time inside.",
            "Schools: move pupils to other rooms.",
            "Schools: take everyone out of the room now.",
        ),
        "toilet": (
            "Caretakers: check and air the place.",
            "Use another toilet until this is fixed.",
            "Do not enter until this is fixed.",
            "Do not enter; if breathing is hard, get fresh air and call an ambulance.",
        ),
    },
}
_ANY: Final[Mapping[Lang, tuple[str, str, str, str]]] = {
    "vi": (
        "Hãy chú ý theo dõi.",
        "Hãy cẩn thận khi đến gần.",
        "Tránh xa nơi bị ảnh hưởng.",
        "Tránh xa ngay; gọi cứu hộ nếu cần.",
    ),
    "en": (
        "Please stay alert.",
        "Take care when you go near.",
        "Keep away from the affected place.",
        "Keep away now; call for rescue if needed.",
    ),
}
# After a flood people are hurt by what the water leaves. School rooms and toilets leave nothing of the kind.
_REMAINS: Final[Mapping[Lang, str]] = {
    "vi": "Nước, bùn hoặc dây điện hở có thể vẫn còn: hãy cẩn thận.",
    "en": "Water, mud or live wires may remain: take care.",
}
_INDOORS: Final = ("school", "toilet")


def what_to_do(hazard: str, level: int, lang: Lang) -> str:
    """One sentence for a level 1-4; a hazard of a deployment's own gets the general one."""
    return _ACTIONS[lang].get(hazard, _ANY[lang])[level - 1]


def what_remains(hazard: str, lang: Lang) -> str:
    """What may still hurt when a warning is over; empty where nothing of the kind can."""
    return "" if hazard in _INDOORS else _REMAINS[lang]
