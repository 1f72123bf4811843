"""Encryption of web push against the vectors of the RFCs and against another's implementation."""

from __future__ import annotations

import http_ece
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from py_vapid import Vapid02

from alerts.delivery.webpush_crypto import (
    BODY_MOST,
    CURVE,
    PADDED_TO,
    PLAIN_MOST,
    VAPID_LIFE_S,
    BrowserKeys,
    Vapid,
    browser_keys,
    content_keys,
    encrypt,
    from_base64url,
    point_of,
)

NOW_S = 1_665_734_580
BROWSER, AUTH, SALT = generate_private_key(CURVE), bytes(range(16)), bytes(range(16, 32))
FCM = "https://fcm.googleapis.com"


def key_of(text: str) -> EllipticCurvePrivateKey:
    return derive_private_key(int.from_bytes(from_base64url(text), "big"), CURVE)


def opened(body: bytes, browser: EllipticCurvePrivateKey = BROWSER, auth: bytes = AUTH) -> bytes:
    plain = http_ece.decrypt(body, private_key=browser, auth_secret=auth, version="aes128gcm")
    assert isinstance(plain, bytes)
    return plain


def test_the_example_of_rfc_8291(monkeypatch: pytest.MonkeyPatch) -> None:
    """Appendix A, which does not pad."""
    monkeypatch.setattr("alerts.delivery.webpush_crypto.PADDED_TO", 1)
    keys = browser_keys(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
    )
    body = encrypt(
        b"When I grow up, I want to be a watermelon", keys, key_of("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
        from_base64url("DGv6ra1nlYgDCS1FRnbzlw"),
    )  # fmt: skip

    assert body == from_base64url(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_example_of_rfc_8188() -> None:
    """Section 3.1: the keys of a record are those that open it."""
    body = from_base64url("I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg")
    key, nonce = content_keys(from_base64url("yqdlZ-tYemfogSmv7Ws5PQ"), body[:16])

    assert AESGCM(key).decrypt(nonce, body[21:], None) == b"I am the walrus\2"


@given(st.binary(max_size=PLAIN_MOST))
def test_another_implementation_opens_what_we_close(plain: bytes) -> None:
    body = encrypt(plain, BrowserKeys(point_of(BROWSER), AUTH), generate_private_key(CURVE), SALT)

    assert opened(body) == plain
    assert len(body) <= BODY_MOST
    assert len(body) == BODY_MOST or not (len(body) - 86 - 16) % PADDED_TO


def test_what_is_full_fits_exactly_and_one_byte_more_is_refused() -> None:
    keys = BrowserKeys(point_of(BROWSER), AUTH)

    assert len(encrypt(bytes(PLAIN_MOST), keys, generate_private_key(CURVE), SALT)) == BODY_MOST
    with pytest.raises(ValueError, match="3994 bytes; at most 3993"):
        encrypt(bytes(PLAIN_MOST + 1), keys, generate_private_key(CURVE), SALT)


def test_warnings_for_different_wards_are_equally_long() -> None:
    keys, ephemeral = BrowserKeys(point_of(BROWSER), AUTH), generate_private_key(CURVE)

    assert len(encrypt("Ngập ở Mân Thái".encode(), keys, ephemeral, SALT)) == len(
        encrypt("Ngập ở Hòa Cường".encode(), keys, ephemeral, SALT)
    )


def test_nobody_else_can_open_it() -> None:
    body = encrypt(b"secret", BrowserKeys(point_of(BROWSER), AUTH), generate_private_key(CURVE), SALT)

    with pytest.raises((http_ece.ECEException, InvalidTag)):
        opened(body, browser=generate_private_key(CURVE))
    with pytest.raises((http_ece.ECEException, InvalidTag)):
        opened(body, auth=bytes(16))


def test_a_point_off_the_curve_is_refused() -> None:
    good = BROWSER.public_key().public_numbers()
    off = b"\4" + good.x.to_bytes(32, "big") + ((good.y + 1) % 2**256).to_bytes(32, "big")
    with pytest.raises(ValueError, match="Invalid EC key"):
        encrypt(b"", BrowserKeys(off, AUTH), generate_private_key(CURVE), SALT)


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [("", ""), ("AAAA", "BTBZMqHH6r4Tts7J_aSIgg"), ("B" * 87, "AAAA"), ("é", "x"), ("*" * 87, "*" * 22)],
)
def test_keys_that_are_none_are_refused_without_being_repeated(p256dh: str, auth: str) -> None:
    with pytest.raises(ValueError, match="of 65 bytes and auth of 16"):
        browser_keys(p256dh, auth)


def test_another_implementation_believes_who_we_are() -> None:
    vapid = Vapid(generate_private_key(CURVE), "mailto:1022@danang.gov.vn")

    header, other = vapid.authorization(FCM, NOW_S), Vapid(generate_private_key(CURVE), "mailto:x@example.vn")

    assert Vapid02.verify(header)
    assert not Vapid02.verify(header.replace(vapid.public, other.public))


def test_a_token_is_kept_for_half_its_life() -> None:
    vapid = Vapid(generate_private_key(CURVE), "mailto:1022@danang.gov.vn")
    first = vapid.authorization(FCM, NOW_S)

    assert vapid.authorization(FCM, NOW_S + VAPID_LIFE_S // 2 - 1) == first
    assert vapid.authorization(FCM, NOW_S + VAPID_LIFE_S // 2) != first
    assert vapid.authorization("https://web.push.apple.com", NOW_S) != first


def test_a_clock_that_was_set_back_makes_no_token_that_lives_too_long() -> None:
    vapid = Vapid(generate_private_key(CURVE), "mailto:1022@danang.gov.vn")
    ahead = vapid.authorization(FCM, NOW_S + 86_400)

    assert vapid.authorization(FCM, NOW_S) != ahead
