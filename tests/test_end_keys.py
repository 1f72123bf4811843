"""The key in the link of a message ends its contact, and nobody else's."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.residents.end_keys import contact_of, end_key
from alerts.residents.seal import Seal

SEAL, OTHER = Seal(bytes(range(32))), Seal(bytes(32))


@given(st.integers(1, 10**17))
def test_a_key_ends_its_contact_and_under_another_seal_nothing(contact: int) -> None:
    key = end_key(SEAL, contact)
    assert re.fullmatch("[A-Za-z0-9_-]{1,45}", key)
    assert contact_of(SEAL, key) == contact
    assert contact_of(OTHER, key) is None
    assert contact_of(SEAL, str(contact + 1) + key[key.index("-") :]) is None


@given(st.text())
def test_what_is_no_key_ends_nothing(text: str) -> None:
    assert contact_of(SEAL, text) is None


@pytest.mark.parametrize("change", [str.swapcase, lambda key: key + "=", lambda key: "0" + key, lambda key: " " + key])
def test_a_key_has_one_way_of_writing(change: Callable[[str], str]) -> None:
    assert contact_of(SEAL, change(end_key(SEAL, 17))) is None
