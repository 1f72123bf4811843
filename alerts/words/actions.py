"""What to do, by hazard and level 1-4, and after the end, in Vietnamese and English.

Nothing here tells anybody to evacuate: such a text is never automatic, it takes two persons (alerts/words/hand.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from alerts.words.names import Lang

Four: TypeAlias = tuple[str, str, str, str]
Two: TypeAlias = tuple[str, str]

# 112 search and rescue, 114 fire and rescue, 115 ambulance: the same in all of Vietnam (Circular 22/2014/TT-BTTTT).
_ACTIONS: Final[Mapping[Lang, Mapping[str, Four]]] = {
    "vi": {
        "rain": (
            "Mang áo mưa, tránh chỗ trũng.",
            "Hạn chế ra đường; kê cao đồ đạc.",
            "Tránh ngầm tràn, sườn dốc và đường ngập; ở yên nơi an toàn.",
            "Ở nơi cao, chắc chắn; không ra ngoài; gọi 114 nếu mắc kẹt.",
        ),
        "flood": (
            "Đi chậm, tránh đường ngập.",
            "Không đi vào đường ngập; dời xe lên chỗ cao, kê cao đồ đạc.",
            "Không lội, không lái xe qua nước; ngắt điện tầng dưới; lên chỗ cao.",
            "Lên chỗ cao ngay; tránh xa dòng nước, dây điện; gọi 114 nếu mắc kẹt.",
        ),
        "river": (
            "Không tắm sông, không xuống bãi sông; neo chắc thuyền.",
            "Rời bãi sông; đưa xe, đồ đạc, vật nuôi lên chỗ cao.",
            "Tránh xa bờ sông; ngắt điện tầng dưới; lên chỗ cao.",
            "Lên chỗ cao ngay; tránh xa dòng nước; gọi 114 nếu mắc kẹt.",
        ),
        "power": (
            "Rút phích cắm thiết bị dễ hỏng; không chạm dây điện.",
            "Chuẩn bị đèn pin, giữ pin điện thoại; không chạm dây điện.",
            "Tránh xa dây điện, cột điện, trạm điện; rút phích cắm thiết bị.",
            "Tránh xa dây điện và chỗ ngập; ai dùng máy thở hãy gọi 115 ngay.",
        ),
        "school": (
            "Nhà trường hãy kiểm tra phòng học và khắc phục.",
            "Nhà trường hãy khắc phục ngay, giảm thời gian trong phòng.",
            "Nhà trường hãy chuyển học sinh sang phòng khác.",
            "Nhà trường hãy đưa mọi người ra khỏi phòng ngay.",
        ),
        "toilet": (
            "Đơn vị quản lý hãy kiểm tra và thông gió.",
            "Hãy dùng nhà vệ sinh khác cho đến khi xử lý xong.",
            "Không vào cho đến khi xử lý xong.",
            "Không vào; ai khó thở hãy ra chỗ thoáng và gọi 115.",
        ),
        "": (
            "Hãy chú ý theo dõi.",
            "Hãy cẩn thận khi đến gần.",
            "Tránh xa nơi bị ảnh hưởng.",
            "Tránh xa ngay; gọi 114 nếu cần cứu giúp.",
        ),
    },
    "en": {
        "rain": (
            "Take rain gear and avoid low spots.",
            "Go out only if you must; raise your belongings.",
            "Keep off fords, slopes and flooded roads; stay where it is safe.",
            "Stay high and indoors; do not go out; call 114 if trapped.",
        ),
        "flood": (
            "Go slowly and avoid flooded roads.",
            "Do not enter flooded roads; move vehicles and belongings higher.",
            "Do not walk or drive through water; cut downstairs power; go higher.",
            "Go higher now; keep away from water and wires; call 114 if trapped.",
        ),
        "river": (
            "Do not swim or go down to the banks; tie up boats well.",
            "Leave the banks; move vehicles, goods and animals higher.",
            "Keep away from the river; cut downstairs power; go higher.",
            "Go higher now; keep away from moving water; call 114 if trapped.",
        ),
        "power": (
            "Unplug sensitive devices; touch no wires.",
            "Keep a torch and a charged phone; touch no wires.",
            "Keep away from wires, poles and transformers; unplug devices.",
            "Keep away from wires and flooded places; on a ventilator, call 115 now.",
        ),
        "school": (
            "Schools: check the rooms and put it right.",
            "Schools: put it right now and shorten the time inside.",
            "Schools: move pupils to other rooms.",
            "Schools: take everyone out of the room now.",
        ),
        "toilet": (
            "Caretakers: check and air the place.",
            "Use another toilet until this is fixed.",
            "Do not enter until this is fixed.",
            "Do not enter; if breathing is hard, get fresh air and call 115.",
        ),
        "": (
            "Please stay alert.",
            "Take care when you go near.",
            "Keep away from the affected place.",
            "Keep away now; call 114 if you need rescue.",
        ),
    },
}
# The long forms say more: at levels 1 and 2, at 3 and 4.
_MORE: Final[Mapping[Lang, Mapping[str, Two]]] = {
    "vi": {
        "rain": (
            "Kiểm tra cống, rãnh trước nhà. Để ý người già, trẻ em và hàng xóm sống một mình.",
            (
                "Sạc đầy điện thoại, để sẵn đèn pin, nước uống và thuốc. Ở sườn dốc, nếu nghe tiếng đất đá hoặc thấy "
                "nước đục bất thường, hãy rời ngay. Gọi 112 hoặc 114 khi cần cứu giúp."
            ),
        ),
        "flood": (
            "Đi bộ thì tránh miệng cống, hố ga. Không để trẻ em chơi gần chỗ ngập.",
            (
                "Mang theo điện thoại, giấy tờ, thuốc và nước uống khi lên chỗ cao. Giúp người già, trẻ em, người "
                "khuyết tật trước. Không quay lại lấy đồ. Gọi 112 hoặc 114 khi cần cứu giúp."
            ),
        ),
        "river": (
            "Theo dõi mực nước quanh nhà. Để ý người già, trẻ em và hàng xóm sống một mình.",
            (
                "Mang theo điện thoại, giấy tờ, thuốc và nước uống khi lên chỗ cao. Không vớt củi, không đi thuyền "
                "nhỏ, không qua ngầm, cầu tràn. Gọi 112 hoặc 114 khi cần cứu giúp."
            ),
        ),
        "power": (
            "Hạn chế mở tủ lạnh. Không tự sửa điện; báo cho điện lực khi thấy dây đứt.",
            (
                "Coi mọi dây điện rơi là đang có điện. Không dùng máy phát điện, bếp than trong nhà kín. Gọi 114 khi "
                "có cháy, 115 khi có người bị nạn."
            ),
        ),
        "school": (
            "Xem thiết bị đo trong phòng để biết là không khí, tiếng ồn, ánh sáng hay nhiệt độ.",
            "Theo dõi học sinh có bệnh hô hấp, tim mạch. Báo cho phụ huynh. Gọi 115 nếu có người khó thở hoặc ngất.",
        ),
        "toilet": ("Không hút thuốc, không bật lửa bên trong.", "Đặt biển báo trước cửa và báo cho đơn vị quản lý."),
        "": ("Báo cho người thân và hàng xóm ở gần.", "Báo cho người thân và hàng xóm ở gần. Giúp người yếu trước."),
    },
    "en": {
        "rain": (
            "Check the drains in front of your house. Look after old people, children and neighbours who live alone.",
            (
                "Charge your phone; keep a torch, drinking water and medicine at hand. On a slope, leave at once if "
                "you hear stones or earth moving or see unusually muddy water. Call 112 or 114 if you need rescue."
            ),
        ),
        "flood": (
            "On foot keep away from drains and manholes. Do not let children play near the water.",
            (
                "Take phone, papers, medicine and drinking water with you when you go higher. Help old people, "
                "children and the disabled first. Do not go back for things. Call 112 or 114 if you need rescue."
            ),
        ),
        "river": (
            "Watch the water around your house. Look after old people, children and neighbours who live alone.",
            (
                "Take phone, papers, medicine and drinking water with you when you go higher. Do not collect "
                "driftwood, use small boats or cross fords and low bridges. Call 112 or 114 if you need rescue."
            ),
        ),
        "power": (
            "Open the fridge as little as you can. Repair nothing yourself; report broken wires to the power company.",
            (
                "Treat every fallen wire as live. Use no generator or charcoal stove in a closed house. Call 114 for "
                "fire, 115 for an ambulance."
            ),
        ),
        "school": (
            "Look at the device in the room to see whether it is air, noise, light or temperature.",
            "Watch pupils with asthma or heart disease. Tell parents. Call 115 if somebody cannot breathe or faints.",
        ),
        "toilet": ("Do not smoke or light a flame inside.", "Put a sign at the door and tell the caretakers."),
        "": ("Tell relatives and neighbours nearby.", "Tell relatives and neighbours nearby. Help the weak first."),
    },
}
# When it is over: after a peak below danger, and at danger or above.
_AFTER: Final[Mapping[Lang, Mapping[str, Two]]] = {
    "vi": {
        "rain": ("Vẫn đi chậm qua chỗ còn nước.", "Tránh sườn dốc và dây điện đứt; đi chậm."),
        "flood": ("Vẫn đi chậm qua chỗ còn nước.", "Hãy cẩn thận; không chạm, không bật đồ điện bị ướt."),
        "river": ("Vẫn tránh xuống bãi sông.", "Hãy cẩn thận; không chạm, không bật đồ điện bị ướt."),
        "power": ("Bật lại từng thiết bị một.", "Không chạm dây điện; bật lại từng thiết bị một."),
        "school": ("Nhà trường tiếp tục theo dõi phòng học.", "Nhà trường kiểm tra phòng trước khi cho học sinh vào."),
        "toilet": ("Có thể dùng lại.", "Đơn vị quản lý kiểm tra trước khi mở lại."),
        "": ("Hãy tiếp tục chú ý.", "Hãy cẩn thận khi quay lại."),
    },
    "en": {
        "rain": ("Still go slowly where water stands.", "Keep off slopes and away from broken wires; go slowly."),
        "flood": ("Still go slowly where water stands.", "Take care; neither touch nor switch on wet devices."),
        "river": ("Still keep off the river banks.", "Take care; neither touch nor switch on wet devices."),
        "power": ("Switch devices on one by one.", "Touch no wires; switch devices on one by one."),
        "school": ("Schools: keep an eye on the rooms.", "Schools: check the room before pupils go in."),
        "toilet": ("It can be used again.", "Caretakers: check before opening again."),
        "": ("Please stay alert.", "Take care when you return."),
    },
}  # fmt: skip


def what_to_do(hazard: str, level: int, lang: Lang) -> str:
    """What to do at a level 1-4, in a line; a hazard of a deployment's own gets the general one."""
    table = _ACTIONS[lang]
    return table.get(hazard, table[""])[level - 1]


def more_to_do(hazard: str, level: int, lang: Lang) -> str:
    """What the long forms add at a level 1-4."""
    table = _MORE[lang]
    return table.get(hazard, table[""])[level > 2]


def after_the_end(hazard: str, peak: int, lang: Lang) -> str:
    """What to do when it is over, by the highest level that it had."""
    table = _AFTER[lang]
    return table.get(hazard, table[""])[peak > 2]
