"""CAP 1.2 as we write it: by the official schema, by our own rules, and by what the contracts say of each level."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from cap_scenes import AT, BEFORE, CITY, HOUR, OFFICIAL, RULES, TEMPLATES, VOICE, Scene, own_faults, wards
from cap_schema import schema_faults

from alerts.incidents.incident import ENDS, Reason
from alerts.incidents.verbs import OfficialLevel
from alerts.words.cap import NAMESPACE, Place, Telling, cap_time, concerns, document
from alerts.words.cap_event import CODES
from alerts.words.cap_place import POINTS_MOST, RINGS_MOST, box_of, circle_of, crosses_itself, distance_km, outlines
from alerts.words.cap_texts import cap_texts
from alerts.words.cap_voice import voice_of
from ingest.city import Area, City, ConfigError, Sensor
from ingest.quantity import CATALOGUE

# What is planned is no warning: nothing of it goes out as CAP.
OF_WARNINGS = [reason for reason in Reason if reason not in (Reason.PLANNED, Reason.MOVED, Reason.CALLED_OFF)]

N = {"c": NAMESPACE}
STATES = [
    *product((Reason.FIRST,), (2, 3, 4)), *product((Reason.WORSE,), (3, 4)), *product((Reason.EASED,), (1, 2)),
    *product([reason for reason in ENDS if reason in OF_WARNINGS], (0,)),
]  # fmt: skip
KINDS = [("rain", ""), ("flood", ""), ("power", ""), *((name, name) for name in TEMPLATES)]


def read(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)


def texts(element: ET.Element, path: str) -> list[str]:
    return [one.text or "" for one in element.findall(path, N)]


def info_of(scene: Scene) -> ET.Element:
    info = read(scene.xml()).find("c:info", N)
    assert info is not None
    return info


def graded(scene: Scene) -> list[str]:
    info = info_of(scene)
    return [*texts(info, "c:urgency"), *texts(info, "c:severity"), *texts(info, "c:certainty"),
            *texts(info, "c:responseType")]  # fmt: skip


@pytest.mark.parametrize(("hazard", "template"), KINDS)
def test_every_document_passes_the_official_schema_and_our_rules(hazard: str, template: str) -> None:
    count = 0
    for (reason, level), drill, sole, event, official in product(
        STATES, (False, True), (False, True), ("", "city.20251027T0400Z"), (None, OFFICIAL)
    ):
        scene = Scene(hazard, reason, level, drill, sole, event, template, official)
        if reason is not Reason.FIRST:
            scene = replace(scene, references=BEFORE)
        xml = scene.xml()
        assert schema_faults(xml) == [], scene
        assert own_faults(xml) == [], scene
        count += 1
    assert count == len(STATES) * 16


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        (1, ["Expected", "Minor", "Observed", "Monitor"]),
        (2, ["Expected", "Moderate", "Observed", "Prepare"]),
        (3, ["Immediate", "Severe", "Observed", "Avoid"]),
        (4, ["Immediate", "Extreme", "Observed", "Execute"]),
    ],
)
def test_a_level_says_its_urgency_and_severity(level: int, wanted: list[str]) -> None:
    assert graded(Scene(level=level)) == wanted
    assert graded(Scene(level=level, sole=True)) == [*wanted[:2], "Likely", wanted[3]]


def test_an_end_is_an_update_with_all_clear_that_holds_for_an_hour() -> None:
    scene = Scene(reason=Reason.OVER, level=0, references=BEFORE)
    assert graded(scene) == ["Past", "Minor", "Observed", "AllClear"]
    alert = read(scene.xml())
    assert texts(alert, "c:msgType") == ["Update"]
    assert texts(alert, "c:references")[0].split() == [
        "canhbao@da-nang,flood.20260.20251027T0400Z.1.0,2025-10-27T10:00:00+07:00",
        "canhbao@da-nang,flood.20260.20251027T0400Z.1.1,2025-10-27T10:59:30+07:00",
    ]
    assert set(texts(alert, "c:info/c:expires")) == {"2025-10-27T12:00:00+07:00"}


def test_only_what_should_never_have_been_sent_is_cancelled() -> None:
    kinds = {
        reason: texts(read(Scene(reason=reason, references=BEFORE).xml()), "c:msgType")[0] for reason in OF_WARNINGS
    }
    assert [reason for reason, kind in kinds.items() if kind == "Cancel"] == [Reason.WITHDRAWN]


def test_a_warning_holds_for_two_hours_and_says_its_times_with_the_citys_offset() -> None:
    alert = read(Scene().xml())
    assert texts(alert, "c:sent") == ["2025-10-27T11:00:00+07:00"]
    assert set(texts(alert, "c:info/c:effective")) == {"2025-10-27T11:00:00+07:00"}
    assert set(texts(alert, "c:info/c:expires")) == {"2025-10-27T13:00:00+07:00"}
    assert cap_time(AT + 999, ZoneInfo("UTC")) == "2025-10-27T04:00:00+00:00"  # never Z


def test_both_languages_say_the_same_thing_in_their_own_words() -> None:
    vietnamese, english = read(Scene().xml()).findall("c:info", N)
    assert (texts(vietnamese, "c:language"), texts(english, "c:language")) == (["vi-VN"], ["en-US"])
    assert (texts(vietnamese, "c:headline"), texts(english, "c:headline")) == (
        ["Nguy hiểm: ngập lụt quanh Cầu Cẩm Lệ (Cẩm Lệ)"], ["Danger: flooding around Cầu Cẩm Lệ (Cam Le)"]
    )  # fmt: skip


@pytest.mark.parametrize("reason", OF_WARNINGS)
def test_a_drill_says_so_first_in_everything_that_may_be_shown_alone(reason: Reason) -> None:
    alert = read(Scene(reason=reason, drill=True, references=BEFORE).xml())
    assert texts(alert, "c:status") == ["Exercise"]
    for info, word in zip(alert.findall("c:info", N), ("DIỄN TẬP. ", "EXERCISE. "), strict=True):
        for name in ("headline", "description", "instruction"):
            assert texts(info, f"c:{name}")[0].startswith(word)


def test_the_official_level_is_carried_with_who_said_it_and_until_when() -> None:
    info = info_of(Scene(official=OFFICIAL))
    pairs = zip(texts(info, "c:parameter/c:valueName"), texts(info, "c:parameter/c:value"), strict=True)
    assert dict(pairs) == {
        "vn:capDoRuiRo": "3",
        "vn:capDoRuiRo.coQuan": "Đài KTTV TP Đà Nẵng",
        "vn:capDoRuiRo.banTin": "DNAN-12/2025",
        "vn:capDoRuiRo.tu": "2025-10-27T10:00:00+07:00",
        "vn:capDoRuiRo.den": "2025-10-28T11:00:00+07:00",
    }
    assert texts(info_of(Scene()), "c:parameter/c:valueName") == []


def test_an_official_level_is_carried_where_it_was_announced_for() -> None:
    notice = Scene().notice
    everywhere, here = OFFICIAL, OfficialLevel(4, "x", "y", AT, AT + 1, "flood", (notice.area,))
    elsewhere, other = replace(OFFICIAL, areas=("20242",)), replace(OFFICIAL, hazard="rain")
    levels = (everywhere, here, elsewhere, other)
    assert [concerns(level, notice, CITY) for level in levels] == [True, True, False, False]


def test_an_official_level_of_a_district_is_carried_in_its_wards() -> None:
    notice = Scene().notice
    district, ward = Area("north", "Quận Bắc"), Area(notice.area, "Cẩm Lệ", parent="north")
    city = replace(CITY, areas={**CITY.areas, "north": district, notice.area: ward})
    assert concerns(replace(OFFICIAL, areas=("north",)), notice, city)


def test_messages_of_a_city_event_share_its_name() -> None:
    events = {texts(read(Scene(hazard, event="city.1").xml()), "c:incidents")[0] for hazard in ("rain", "flood")}
    assert events == {"city.1"}
    assert texts(read(Scene().xml()), "c:incidents") == []


def test_events_have_their_codes_of_the_list_of_oasis() -> None:
    codes = {hazard: texts(info_of(Scene(hazard, template=template)), "c:eventCode/c:value")
             for hazard, template in KINDS}  # fmt: skip
    assert codes == {
        "rain": ["OET-159"], "flood": ["OET-081"], "power": ["OET-145"], "storm": ["OET-187"],
        "landslide": ["OET-119"], "reservoir": ["OET-053"], "evacuation": ["OET-000"],
        "school_closure": ["OET-174"],
    }  # fmt: skip
    assert all(code in CODES for found in codes.values() for code in found)


def test_evacuation_is_asked_for_by_persons_alone() -> None:
    for (hazard, template), level in product(KINDS, (1, 2, 3, 4)):
        answer = graded(Scene(hazard, level=level, template=template))[3]
        assert (answer == "Evacuate") == (template == "evacuation")


def test_a_persons_warning_is_likely_and_says_what_was_written() -> None:
    scene = Scene("landslide", template="landslide")
    assert graded(scene)[2] == "Likely"
    assert "đèo Hải Vân" in texts(info_of(scene), "c:headline")[0]


def test_a_hazard_of_a_deployments_own_is_named_in_both_languages() -> None:
    vietnamese, english = texts(read(Scene("odour").xml()), "c:info/c:event")
    assert (vietnamese, english) == ("Sự cố odour", "Odour event")
    assert own_faults(Scene("odour").xml()) == []


def test_contact_and_web_stand_there_where_they_are_known() -> None:
    notice, telling = Scene().notice, Scene().telling()
    said = cap_texts(notice, CITY, RULES)
    with_both = read(document(telling, CITY, VOICE, said))
    without = read(document(telling, CITY, voice_of(CITY), said))
    assert set(texts(with_both, "c:info/c:contact")) == {"1022"}
    assert set(texts(with_both, "c:info/c:web")) == {"https://canhbao.example/"}
    assert texts(without, "c:info/c:contact") == texts(without, "c:info/c:web") == []


def test_the_sender_is_the_city_in_letters_that_everybody_can_write() -> None:
    assert voice_of(CITY).id == "canhbao@da-nang"
    assert voice_of(replace(CITY, name="Thành phố Hồ Chí Minh")).id == "canhbao@thanh-pho-ho-chi-minh"
    assert voice_of(replace(CITY, name="東京")).id == "canhbao@city"
    assert voice_of(CITY, "urn:oid:2.49.0.0.704.9", "IOC").names == {"vi": "IOC", "en": "IOC"}


# -- where ---------------------------------------------------------------------------------------------------------


def sensor(name: str, lat: float, lon: float, area: str = "A", quantity: str = "water_level") -> Sensor:
    known = CATALOGUE[quantity]
    return Sensor(name, known, area, (area,), lat=lat, lon=lon, public=known.public)


def circle(*sensors: Sensor) -> object:
    city = City("C", ZoneInfo("Asia/Ho_Chi_Minh"), {}, {}, {s.id: s for s in sensors})
    return circle_of(city.sensors, "A", city)


def test_the_circle_holds_every_place_that_measured_and_is_not_the_ward() -> None:
    found = circle(sensor("a", 16.06, 108.22), sensor("b", 16.07, 108.21))
    assert (found.lat, found.lon) == (16.065, 108.215)  # type: ignore[attr-defined]
    for place in ((16.06, 108.22), (16.07, 108.21)):
        assert distance_km(16.065, 108.215, *place) + 1.0 <= found.km < 2.0  # type: ignore[attr-defined]


def test_a_gauge_elsewhere_makes_no_circle_in_a_ward_that_it_speaks_for() -> None:
    assert circle(sensor("upstream", 15.88, 108.11, area="B")) is None
    assert circle(sensor("nowhere", 0.0, 0.0)) is None
    alert = read(document(Telling(Scene().notice, 0, AT, False, (), Place()), CITY, VOICE,
                          cap_texts(Scene().notice, CITY, RULES)))  # fmt: skip
    assert texts(alert, "c:info/c:area/c:circle") == []
    assert set(texts(alert, "c:info/c:area/c:geocode/c:value")) == {"20260"}


def test_the_house_of_a_meter_that_is_not_public_is_not_to_be_found() -> None:
    found = circle(sensor("meter", 16.063_21, 108.218_76, quantity="voltage"))
    assert (found.lat, found.lon) == (16.06, 108.22)  # type: ignore[attr-defined]
    assert found.km == 2.0  # type: ignore[attr-defined]


def test_a_long_name_of_an_area_is_cut_to_fifty_characters() -> None:
    city = replace(CITY, areas={"20260": Area("20260", "Đ" * 80)})
    xml = document(Scene().telling(), city, VOICE, cap_texts(Scene().notice, city, RULES))
    assert all(len(text) <= 50 for text in texts(read(xml), "c:info/c:area/c:areaDesc"))


def test_outlines_of_the_wards_are_closed_uncrossed_and_small() -> None:
    rings = wards()
    assert set(rings) >= {"20260"}
    for of_area in rings.values():
        assert 1 <= len(of_area) <= RINGS_MOST
        for ring in of_area:
            assert ring[0] == ring[-1]
            assert 4 <= len(ring) <= POINTS_MOST
            assert not crosses_itself(ring)
    south, west, north, east = box_of(CITY, rings) or (0, 0, 0, 0)
    assert 14 < south < 16 < north < 17.5
    assert 106 < west < 108 < east < 114


CROSSED = '{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}'


@pytest.mark.parametrize(
    "text",
    [
        "no json", "[]", "{}", '{"features":[{}]}', '{"features":[{"properties":{"code":"1"},"geometry":null}]}',
        '{"features":[{"properties":{"code":"1"},"geometry":{"type":"Point","coordinates":[1,2]}}]}',
        '{"features":[{"properties":{"code":"1"},"geometry":{"type":"Polygon","coordinates":[[[1,2]]]}}]}',
        f'{{"features":[{{"properties":{{"code":"1"}},"geometry":{CROSSED}}}]}}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_outlines_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"wards\.geojson: areas_geojson"):
        outlines(text, "wards.geojson")


def test_two_hours_are_two_hours() -> None:
    assert Scene().telling().expires == AT + 2 * HOUR
