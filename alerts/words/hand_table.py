"""What the templates of warnings by hand say: impact, what to do and more, by level, and after the end.

Only the rows of the evacuation speak of evacuating.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from alerts.words.names import Lang


@dataclass(frozen=True, slots=True)
class Row:
    """One template in one language. `hazard` and `where` are filled from its fields, `levels` by level (1-4)."""

    hazard: str
    where: str
    levels: Mapping[int, tuple[str, str]]  # impact, action
    more: str
    left: str  # after the end: what may remain
    after: str  # and what to do
    details: str = ""  # a sentence more, where its moments were given


ROWS: Final[Mapping[Lang, Mapping[str, Row]]] = {
    "vi": {
        "storm": Row(
            "bão {name}", "ở",
            {
                2: ("Gió giật có thể làm gãy cây, bay mái tôn.", "Chằng chống nhà cửa; đưa thuyền vào nơi trú."),
                3: ("Gió quật đổ cây, cột điện, tốc mái nhà.", "Ở trong nhà chắc chắn; tránh xa cửa kính và cây."),
                4: ("Gió nguy hiểm đến tính mạng; nhà yếu có thể sập.",
                    "Không ra ngoài; ở phòng chắc chắn nhất; gọi 114 khi cần cứu giúp."),
            },
            "Sạc đầy điện thoại, để sẵn đèn pin, nước uống và thuốc. Không ở lại trên thuyền, lồng bè. Khi gió lặng "
            "đột ngột, chưa ra ngoài: gió có thể đổi chiều.",
            "Cây gãy, mái tôn, dây điện đứt có thể vẫn còn.", "Tránh cây nghiêng và dây điện; đi chậm.",
            "Từ {from_}.",
        ),
        "landslide": Row(
            "sạt lở đất", "ở",
            {
                2: ("Đất đá có thể trượt xuống nhà và đường.", "Tránh xa sườn dốc; để ý vết nứt, tiếng động lạ."),
                3: ("Đất đá trượt có thể vùi nhà, chặn đường.", "Rời chân dốc, bờ suối; không qua đoạn đường sạt lở."),
                4: ("Đất đá trượt nguy hiểm đến tính mạng.", "Rời ngay chân dốc; gọi 114 nếu có người bị vùi."),
            },
            "Nước suối đột nhiên đục, cạn hoặc có tiếng ầm ầm là dấu hiệu nguy hiểm: chạy ngang ra hai bên, không chạy "
            "xuôi theo dòng đất đá. Gọi 112 hoặc 114 khi cần cứu giúp.",
            "Đất đá có thể vẫn còn trượt.", "Tránh đoạn đường sạt lở; không đào bới một mình.",
        ),
        "reservoir": Row(
            "hồ {name} xả nước", "xuống",
            {
                2: ("Nước sông lên nhanh, bãi sông có thể ngập.", "Rời lòng sông, bãi sông; neo chắc thuyền."),
                3: ("Nước sông lên nhanh, có thể vào nhà ven sông.", "Tránh xa bờ sông; đưa người và đồ lên chỗ cao."),
                4: ("Nước sông lên rất nhanh, nguy hiểm đến tính mạng.",
                    "Lên chỗ cao ngay; tránh xa dòng nước; gọi 114 nếu mắc kẹt."),
            },
            "Không tắm, đánh cá, vớt củi trên sông. Không qua ngầm, cầu tràn. Báo cho người đang ở trên bãi và trên "
            "thuyền. Gọi 112 hoặc 114 khi cần cứu giúp.",
            "Nước sông có thể vẫn còn cao.", "Vẫn tránh xuống bãi sông.",
            "Xả xuống {river} từ {from_}.",
        ),
        "evacuation": Row(
            "yêu cầu sơ tán", "khỏi",
            {
                3: ("Ở lại đó nguy hiểm đến tính mạng.", "Mang giấy tờ, thuốc, điện thoại; giúp người già, trẻ em."),
                4: ("Ở lại đó nguy hiểm đến tính mạng.", "Đi ngay; giúp người già, trẻ em; gọi 114 nếu mắc kẹt."),
            },
            "Ngắt điện, khóa ga, khóa cửa trước khi đi. Đi theo hướng dẫn của người phụ trách, không qua đường ngập. "
            "Báo cho hàng xóm, nhất là người sống một mình. Ai không tự đi được hãy gọi 112 hoặc 114.",
            "Nước, bùn hoặc dây điện hở có thể vẫn còn.", "Chỉ về nhà khi người phụ trách nơi tránh trú cho phép.",
        ),
        "school_closure": Row(
            "học sinh nghỉ học", "ở",
            dict.fromkeys((1, 2, 3), ("Trường không đón học sinh.", "Giữ trẻ ở nhà, không để trẻ chơi gần chỗ ngập.")),
            "Phụ huynh xem tin của nhà trường để biết cách học bù.",
            "Đường đến trường có thể còn trơn.", "Phụ huynh xem tin của nhà trường trước khi đưa trẻ đi.",
            "Nghỉ từ {from_} đến {until}.",
        ),
    },
    "en": {
        "storm": Row(
            "storm {name}", "in",
            {
                2: ("Gusts may break trees and lift roofs.", "Secure your house; bring boats to shelter."),
                3: ("Wind fells trees and poles and lifts roofs.", "Stay in a solid house, away from windows."),
                4: ("The wind endangers life; weak houses may fall.",
                    "Do not go out; use the most solid room; call 114 if you need rescue."),
            },
            "Charge your phone; keep a torch, drinking water and medicine at hand. Do not stay on boats or rafts. When "
            "the wind suddenly drops, stay inside: it may turn.",
            "Broken trees, roofing and wires may remain.", "Keep away from leaning trees and wires; go slowly.",
            "From {from_}.",
        ),
        "landslide": Row(
            "landslide", "at",
            {
                2: ("Earth and stones may slide onto houses and roads.", "Keep off slopes; watch for cracks."),
                3: ("Slides may bury houses and block roads.", "Leave the foot of slopes, and streams; avoid roads."),
                4: ("The slide endangers life.", "Leave the foot of the slope now; call 114 if people are buried."),
            },
            "A stream that suddenly turns muddy or dry, or a rumbling, means danger: run to the side, never down the "
            "way that the earth takes. Call 112 or 114 if you need rescue.",
            "Earth may still be sliding.", "Avoid the road of the slide; do not dig alone.",
        ),
        "reservoir": Row(
            "release of water from {name}", "towards",
            {
                2: ("The river rises fast over its banks.", "Leave the river bed and banks; tie up boats well."),
                3: ("The river rises fast and may enter houses.", "Keep away from the river; bring people higher."),
                4: ("The river rises very fast and endangers life.",
                    "Go higher now; keep away from moving water; call 114 if trapped."),
            },
            "Do not swim, fish or collect driftwood in the river. Cross no fords and low bridges. Tell people on the "
            "banks and in boats. Call 112 or 114 if you need rescue.",
            "The river may still be high.", "Still keep off the river banks.",
            "Into {river} from {from_}.",
        ),
        "evacuation": Row(
            "evacuate", "from",
            {
                3: ("Staying there endangers life.", "Take papers, medicine, phone; help old people and children."),
                4: ("Staying there endangers life.", "Go now; help old people and children; call 114 if trapped."),
            },
            "Switch off power and gas and lock the door before you go. Follow those in charge and cross no flooded "
            "roads. Tell your neighbours, above all those who live alone. Who cannot walk calls 112 or 114.",
            "Water, mud or live wires may remain.", "Go home only when those in charge of the shelter say so.",
        ),
        "school_closure": Row(
            "schools closed", "in",
            dict.fromkeys((1, 2, 3), ("Schools take in no pupils.", "Keep children at home and away from water.")),
            "Parents: see the school's own news on lessons missed.",
            "The way to school may still be slippery.", "Parents: see the school's own news before you set out.",
            "Closed from {from_} until {until}.",
        ),
    },
}  # fmt: skip
