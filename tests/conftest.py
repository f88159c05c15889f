"""What every test has: the embedded Graph API as the fixture `graph_sandbox`, and time to think for properties."""

import asyncio
import os

import pytest
from hypothesis import settings

from wa_phone_async.decoding import converter as decoding

pytest_plugins = ["pytester", "wa_phone_async.sandbox.pytest_plugin"]

# pytest-asyncio asks for the current loop, and Python 3.11 then makes one that nobody closes, unless none is wanted.
asyncio.set_event_loop(None)

# A shared machine may be slow for a moment, which is no failure. All else stays Hypothesis' own profile.
settings.register_profile("patient", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)  # for an interpreter after the first
settings.load_profile("patient")


@pytest.fixture(autouse="MUTANT_UNDER_TEST" in os.environ)
def _fresh_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The converter keeps the hooks that it has made, which would hide a mistake put into what makes them."""
    monkeypatch.setattr(decoding, "_converter", decoding._make_converter())
