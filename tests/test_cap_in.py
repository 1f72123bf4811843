"""CAP from elsewhere: the standard's own examples are read, and nothing that a document asks of us is done."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest
from cap_scenes import Scene
from cap_schema import schema_faults
from hypothesis import given
from hypothesis import strategies as st
from oasis_examples import CHILD_ABDUCTION, EARTHQUAKE, EXAMPLES, HOMELAND_SECURITY, THUNDERSTORM

from alerts.words.cap_in import BYTES_MOST, ELEMENTS_MOST, CapError, received

ALERT = THUNDERSTORM.partition("\n")[2]


def refused(document: bytes | str) -> str:
    with pytest.raises(CapError) as caught:
        received(document.encode() if isinstance(document, str) else document)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    return str(caught.value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_standard_are_read(name: str) -> None:
    assert schema_faults(EXAMPLES[name].encode()) == []
    received(EXAMPLES[name].encode())


def test_what_the_examples_say_is_what_was_read() -> None:
    security, storm = received(HOMELAND_SECURITY.encode()), received(THUNDERSTORM.encode())
    quake, child = received(EARTHQUAKE.encode()), received(CHILD_ABDUCTION.encode())
    assert (security.identifier, security.sender, security.sent) == (
        "43b080713727", "hsas@dhs.gov", "2003-04-02T14:39:01-05:00"
    )  # fmt: skip
    assert (security.status, security.msg_type, security.scope) == ("Actual", "Alert", "Public")
    assert security.infos[0].parameters == (("HSAS", "ORANGE"),)
    assert security.infos[0].language == "en-US"  # what the standard says where it says none
    (area,) = storm.infos[0].areas
    assert area.polygons == ("38.47,-120.14 38.34,-119.95 38.52,-119.74 38.62,-119.89 38.47,-120.14",)
    assert area.geocodes == (("SAME", "006109"), ("SAME", "006009"), ("SAME", "006003"))
    assert (storm.infos[0].response_types, storm.infos[0].event_codes) == (("Shelter",), (("SAME", "SVR"),))
    assert storm.infos[0].expires == "2003-06-17T16:00:00-07:00"
    assert quake.references == ("trinet@caltech.edu,TRI13970876.1,2003-06-11T20:30:00-07:00",)
    assert (quake.msg_type, quake.infos[0].areas[0].circles) == ("Update", ("32.9525,-115.5527 0",))
    assert [info.language for info in child.infos] == ["en-US", "es-US"]
    assert child.infos[1].event == "Abducción de Niño"
    assert not child.signed


def test_what_we_send_is_read_like_anything_else() -> None:
    mine = received(Scene().xml())
    assert (mine.sender, len(mine.infos), mine.infos[0].areas[0].geocodes) == (
        "canhbao@da-nang", 2, (("vn-dvhc", "20260"),)
    )  # fmt: skip


def test_a_signature_is_seen_and_a_byte_order_mark_is_none_of_the_text() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/></Signature></alert>'
    signed = THUNDERSTORM.replace("</alert>", signature)
    assert schema_faults(signed.encode()) == []
    assert received(b"\xef\xbb\xbf" + signed.encode()).signed


def laughs() -> str:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE alert [<!ENTITY l0 "lol">{levels}]>' + ALERT.replace("SEVERE", "&l9;")


ATTACKS = {
    "a billion laughs": laughs(),
    "one long entity, often": '<!DOCTYPE a [<!ENTITY x "' + "x" * 30_000 + '">]>' + ALERT.replace("HAIL", "&x;" * 5000),
    "a file of this machine": '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + ALERT.replace("HAIL", "&f;"),
    "a parameter entity": '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>' + ALERT,
    "an external DTD": '<!DOCTYPE alert SYSTEM "http://127.0.0.1:1/cap.dtd">' + ALERT,
    "a public DTD": '<!DOCTYPE alert PUBLIC "-//X//Y" "http://127.0.0.1:1/cap.dtd">' + ALERT,
    "an empty DTD": "<!DOCTYPE alert>" + ALERT,
    "an attribute's default": '<!DOCTYPE a [<!ATTLIST alert x CDATA "y">]>' + ALERT,
    "small letters": "<!doctype alert>" + ALERT,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_with_a_dtd_reaches_the_parser(name: str) -> None:
    assert refused(ATTACKS[name]) in ("with a DTD: no entities are taken", f"{len(ATTACKS[name])} bytes, at most 65536")


def test_an_entity_that_nobody_declared_is_refused() -> None:
    assert "not well-formed" in refused(ALERT.replace("HAIL", "&hail;"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "latin-1"])
def test_another_encoding_hides_no_dtd(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY e "é">]>' + ALERT
    refused(text.encode(encoding))
    refused(text.partition("<!DOCTYPE")[0] + ALERT)  # said to be another one


def test_no_connection_is_made_for_what_a_document_names() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        heard: list[object] = []
        listening = threading.Thread(target=lambda: heard.append(_accepted(server)))
        listening.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        refused(f'<!DOCTYPE alert SYSTEM "{address}">' + ALERT)
        including = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{address}"/></alert>'
        received(ALERT.replace("</alert>", including).encode())
        sheet = f'<?xml-stylesheet type="text/xsl" href="{address}"?>'
        schema = f'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="urn:x {address}"'
        located = ALERT.replace("<alert ", f"{sheet}<alert {schema} ")
        received(located.encode())
        listening.join()
    assert heard == [None]


def _accepted(server: socket.socket) -> object:
    try:
        return server.accept()
    except TimeoutError:
        return None


def test_limits_hold_before_anything_is_parsed_and_after() -> None:
    big = ALERT.replace("HAIL", "H" * BYTES_MOST)
    assert refused(big) == f"{len(big)} bytes, at most {BYTES_MOST}"
    deep = ALERT.replace("<areaDesc>", "<x>" * 20 + "</x>" * 20 + "<areaDesc>", 1)
    assert "deeper than" in refused(deep)
    assert refused("<a>" * 9000 + "</a>" * 9000)  # beyond what libxml2 takes
    many = ALERT.replace("</alert>", "<x/>" * ELEMENTS_MOST + "</alert>")
    assert "elements" in refused(many)


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ("", "not well-formed"),
        ("Bão số 12", "not well-formed"),
        ("{}", "not well-formed"),
        (b"\xff\xfe<", "not UTF-8"),
        (ALERT + ALERT, "not well-formed"),
        (ALERT[:-20], "not well-formed"),
        (ALERT.replace("cap:1.2", "cap:1.1"), "not an alert of CAP 1.2"),
        ("<feed xmlns='http://www.w3.org/2005/Atom'/>", "not an alert of CAP 1.2"),
        (ALERT.replace("<sender>KSTO@NWS.NOAA.GOV</sender>", ""), "no sender"),
        (ALERT.replace("2003-06-17T14:57:00-07:00", " "), "no sent"),
        (ALERT.replace("<status>Actual", "<status>Real"), "status"),
        (ALERT.replace("<msgType>Alert", "<msgType>Rumour"), "msgType"),
        (ALERT.replace("SEVERE THUNDERSTORM</event>", "</event>"), "event"),
        (ALERT.replace("HAIL", "\x07"), "not well-formed"),
    ],
)
def test_what_is_no_cap_is_refused_with_a_reason(document: bytes | str, wanted: str) -> None:
    assert wanted in refused(document)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_whatever_comes_is_read_or_refused(document: bytes) -> None:
    with suppress(CapError):
        received(document)


@given(st.data())
def test_a_document_with_a_hole_or_a_foreign_part_is_read_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(sorted(EXAMPLES.values())))
    start, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 60))
    with suppress(CapError):
        received((text[:start] + data.draw(st.text(max_size=20)) + text[start + length :]).encode())
