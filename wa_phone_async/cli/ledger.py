"""The ledger of registrations of a command: the one that somebody has named, or the one that every command has."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from wa_phone_async._optional import requires
from wa_phone_async.errors import InvalidArgumentError, LedgerError
from wa_phone_async.ratelimit.registration_file import FileRegistrationLedger
from wa_phone_async.ratelimit.registrations import RegistrationLedger, Reservation, StoredLedger
from wa_phone_async.redaction import Secret, conceal

from .terminal.output import complain

_URL: Final = re.compile(r"(?:rediss?|unix)://")
_VARIABLE: Final = "WA_REGISTRATIONS"
_OFF: Final = "none"


def ledger_of(option: str | None, *, is_sandbox: bool) -> RegistrationLedger | None:
    """The ledger that a command counts with. `None` counts nothing.

    Args:
        option: The value of `--registrations`.
        is_sandbox: Whether the command runs with `--sandbox`. Its invented numbers have no ledger unless the option
            names one.

    Raises:
        InvalidArgumentError: The named ledger is wrong, or it needs an extra that is not installed.
    """
    if is_sandbox and not option:
        return None
    return stored_ledger(option) if option or os.environ.get(_VARIABLE) else DefaultLedger()


def stored_ledger(option: str | None) -> StoredLedger | None:
    """The ledger that the option or the environment names, or the default file. `None` if it is turned off.

    Raises:
        InvalidArgumentError: It is wrong, or it needs an extra that is not installed.
        LedgerError: The default file has no place.
    """
    source, named = ("--registrations", conceal(option)) if option else (_VARIABLE, conceal(os.environ.get(_VARIABLE)))
    if option and _URL.match(named) and "@" in named:
        hint = f"other users of this machine can read arguments: export it as {_VARIABLE}"
        raise InvalidArgumentError(source, "without a user and a password", hint=hint)
    if named == _OFF:
        return None
    try:
        return _open(named)
    except InvalidArgumentError as error:
        error.argument = source if error.argument in {"path", "url"} else error.argument
        raise


def _open(named: Secret) -> StoredLedger:
    if not _URL.match(named):
        return FileRegistrationLedger(str(named) or _default_path())
    with requires("redis", error=InvalidArgumentError):
        from wa_phone_async.ratelimit.redis import RedisRegistrationLedger  # noqa: PLC0415 - an optional package
    return RedisRegistrationLedger(named)


def _default_path() -> Path:
    """Where the XDG Base Directory Specification keeps state (read 2026-11-28). It ignores relative paths."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        home = state if state.is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError as error:
        advice = "Set XDG_STATE_HOME, or name a file with --registrations."
        raise LedgerError("the default file", "you have no home directory", advice) from error
    return home / "wa-phone" / "registrations.db"


class DefaultLedger:
    """The ledger that nobody has named. If it fails, the command says so once, and the call goes uncounted."""

    def __init__(self) -> None:
        self._ledger: StoredLedger | None = None
        self._has_failed = False

    async def reserve(self, phone_number_id: str) -> Reservation | float:
        """Reserve a registration, as long as the ledger works: see `RegistrationLedger.reserve`."""
        try:
            self._ledger = self._ledger or _open(Secret())
            return await self._ledger.reserve(phone_number_id)
        except LedgerError as error:
            if not self._has_failed:
                complain(
                    f"the ledger of registrations ({error.ledger}) failed: {error.reason}. The registration is sent "
                    "all the same, and not counted. Meta allows ten in 72 hours. --registrations none ends this warning"
                )
            self._has_failed = True
            return Reservation(phone_number_id, "")

    async def release(self, reservation: Reservation) -> None:
        """Give a reservation back: see `RegistrationLedger.release`."""
        if self._ledger and not self._has_failed:
            await self._ledger.release(reservation)

    async def block(self, phone_number_id: str, seconds: float) -> None:
        """Note a block: see `RegistrationLedger.block`."""
        if self._ledger and not self._has_failed:
            await self._ledger.block(phone_number_id, seconds)
