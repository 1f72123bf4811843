"""What a hazard does to people, by level 1-4, and what is left of it after the end. Never what is still to come.

Sources: DOMAIN section 2 (rain: from 30 mm/h roads become rivers) and section 4 (streets: 10 cm motorbikes slow, 30 cm
small cars unsafe, 50 cm children, the elderly and all cars, 120 cm everyone). Rivers, power, schools and toilets: ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.words.actions import Four, Two
from alerts.words.names import Lang

RIVER: Final = "river"  # a flood that a river gauge measured: what is known is the river, not the streets

_IMPACTS: Final[Mapping[Lang, Mapping[str, Four]]] = {
    "vi": {
        "rain": (
            "Đường trơn, chỗ trũng có thể đọng nước.",
            "Đường có thể thành dòng nước, khó nhìn khi lái xe.",
            "Nước có thể dâng nhanh ở chỗ trũng; suối, sườn dốc nguy hiểm.",
            "Mưa nguy hiểm đến tính mạng: ngập sâu, nước xiết, đất có thể trượt.",
        ),
        "flood": (
            "Xe máy đi khó, dễ chết máy.",
            "Xe máy chết máy; không thấy hố ga, mép đường.",
            "Ô tô con không an toàn; trẻ em, người già dễ bị nước cuốn.",
            "Nước sâu nguy hiểm cho tất cả mọi người và mọi loại xe.",
        ),
        RIVER: (
            "Bãi sông và đường thấp ven sông có thể ngập.",
            "Nước có thể vào vườn, nhà ở chỗ thấp ven sông.",
            "Nước có thể vào nhà và chia cắt đường ven sông.",
            "Nước sông cao hiếm thấy, nguy hiểm đến tính mạng.",
        ),
        "power": (
            "Điện chập chờn, thiết bị có thể hỏng.",
            "Có nơi mất điện, điện yếu; thang máy, máy bơm có thể ngừng.",
            "Đèn tín hiệu, thang máy, máy bơm, sóng điện thoại có thể ngừng.",
            "Mất điện nguy hiểm cho người cần máy thở, máy lọc máu.",
        ),
        "school": (
            "Học sinh dễ mệt, khó tập trung.",
            "Học sinh có thể đau đầu, khó chịu.",
            "Ở lâu trong phòng có hại cho sức khỏe.",
            "Ở trong phòng nguy hiểm cho sức khỏe.",
        ),
        "toilet": (
            "Mùi nặng, gây khó chịu.",
            "Không khí có thể làm cay mắt, khó thở.",
            "Không khí có hại cho sức khỏe.",
            "Không khí nguy hiểm đến tính mạng.",
        ),
        "": (
            "Có thể gây bất tiện cho người ở gần.",
            "Có thể cản trở đi lại và sinh hoạt ở gần đó.",
            "Có thể nguy hiểm cho người ở gần.",
            "Nguy hiểm đến tính mạng của người ở gần.",
        ),
    },
    "en": {
        "rain": (
            "Roads are slippery; water may stand in low spots.",
            "Roads can turn into streams; drivers see little.",
            "Water can rise fast in low spots; streams, slopes are dangerous.",
            "Rain that endangers life: deep and fast water, slopes can slide.",
        ),
        "flood": (
            "Motorbikes have trouble and may stall.",
            "Motorbikes stall; manholes and kerbs cannot be seen.",
            "Small cars are unsafe; water can sweep children and old people away.",
            "Deep water, dangerous for everybody and every vehicle.",
        ),
        RIVER: (
            "Banks and low roads along the river may be under water.",
            "Water may enter gardens and houses low by the river.",
            "Water may enter houses and cut roads along the river.",
            "The river is rarely so high; it endangers life.",
        ),
        "power": (
            "Power is unsteady; devices may be damaged.",
            "Power is out or weak in places; lifts and pumps may stop.",
            "Traffic lights, lifts, pumps and phones may stop.",
            "Power is out; this endangers people on ventilators or dialysis.",
        ),
        "school": (
            "Pupils tire and find it hard to concentrate.",
            "Pupils may get headaches and feel unwell.",
            "A long stay in the room harms health.",
            "Staying in the room is dangerous to health.",
        ),
        "toilet": (
            "The smell is heavy and unpleasant.",
            "The air may sting the eyes and make breathing hard.",
            "The air harms health.",
            "The air endangers life.",
        ),
        "": (
            "It may trouble people nearby.",
            "It may hinder traffic and daily life nearby.",
            "It may be dangerous for people nearby.",
            "It endangers the life of people nearby.",
        ),
    },
}
# After a peak below danger, and at danger or above: what the water leaves hurts people (CONTRACTS section 6).
_LEFT: Final[Mapping[Lang, Mapping[str, Two]]] = {
    "vi": {
        "rain": ("Đường có thể còn trơn, chỗ trũng còn nước.", "Nước, bùn, đất đá hoặc dây điện hở có thể vẫn còn."),
        "flood": ("Đường có thể còn trơn, chỗ trũng còn nước.", "Nước, bùn hoặc dây điện hở có thể vẫn còn."),
        RIVER: ("Bãi sông có thể còn nước.", "Nước, bùn hoặc dây điện hở có thể vẫn còn."),
        "power": ("Điện có thể còn chập chờn.", "Dây điện đứt có thể vẫn còn và có điện."),
        "school": ("Phòng học có thể vẫn còn ngột ngạt.", "Phòng học có thể vẫn còn khí hoặc bụi có hại."),
        "toilet": ("Mùi có thể vẫn còn.", "Khí có hại có thể vẫn còn bên trong."),
        "": ("Ảnh hưởng nhỏ có thể vẫn còn.", "Chỗ nguy hiểm có thể vẫn còn."),
    },
    "en": {
        "rain": ("Roads may still be slippery and low spots wet.", "Water, mud, stones or live wires may remain."),
        "flood": ("Roads may still be slippery and low spots wet.", "Water, mud or live wires may remain."),
        RIVER: ("Water may remain on the banks.", "Water, mud or live wires may remain."),
        "power": ("Power may still be unsteady.", "Broken wires may remain, and be live."),
        "school": ("Rooms may still be stuffy.", "Harmful gas or dust may remain in the rooms."),
        "toilet": ("The smell may remain.", "Harmful gas may remain inside."),
        "": ("Small effects may remain.", "Dangerous spots may remain."),
    },
}


def impact(hazard: str, level: int, lang: Lang) -> str:
    """What it does at a level 1-4, in a sentence; a hazard of a deployment's own gets the general one."""
    table = _IMPACTS[lang]
    return table.get(hazard, table[""])[level - 1]


def what_is_left(hazard: str, peak: int, lang: Lang) -> str:
    """What may still trouble people when it is over, by the highest level that it had."""
    table = _LEFT[lang]
    return table.get(hazard, table[""])[peak > 2]
