"""What gets alerts: a command, or a service that apprise knows. Neither goes through a shell."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import shutil
import signal
from contextlib import suppress
from typing import Any, Final

from wa_phone_async._optional import requires
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.health.findings import Severity
from wa_phone_async.redaction import conceal

from .alert import Alert, environment
from .outbox import DeliveryError

_MOST_COMMANDS: Final = 4


class CommandReceiver:
    """Runs a command for each alert: the alert is in its environment, and as JSON on its stdin.

    Args:
        command: The program and its arguments, as a shell would split them. No shell runs.
    """

    name = "--on-change"
    workers = _MOST_COMMANDS
    retries = False  # a command that fails may have done something

    def __init__(self, command: str) -> None:
        try:
            self._arguments = shlex.split(command, posix=os.name != "nt")  # on Windows a backslash is no escape
        except ValueError as error:
            raise InvalidArgumentError(self.name, "a command with its arguments", hint=str(error)) from None
        if not self._arguments or shutil.which(self._arguments[0]) is None:
            raise InvalidArgumentError(self.name, "a program that can be run, and its arguments")

    async def deliver(self, alert: Alert) -> None:
        """Run the command. When it is cancelled, the command is killed with all that it has started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,  # ours is for the changes
                stderr=asyncio.subprocess.DEVNULL,
                env=environment(alert, os.environ),
                start_new_session=True,
            )
        except OSError as error:
            raise DeliveryError(f"cannot be started: {error.strerror}") from None
        try:
            await process.communicate(f"{alert.to_json()}\n".encode())
        finally:
            if process.returncode is None:
                _kill(process)
                await process.wait()
        if process.returncode:
            raise DeliveryError(f"exit status {process.returncode}")

    async def close(self) -> None:
        """Do nothing: it holds nothing."""


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # Windows has no process groups to kill
            process.kill()


class AppriseReceiver:
    """Sends each alert to a service that apprise knows.

    Args:
        url: The URL, which may hold tokens. It is never shown.

    Raises:
        InvalidArgumentError: The extra `alerts` is missing, or apprise does not know the URL.
    """

    name = "--notify"
    workers = 1
    retries = True

    def __init__(self, url: str) -> None:
        url = conceal(url)
        with requires("alerts", error=InvalidArgumentError):
            import apprise  # noqa: PLC0415 - an extra, and it takes half a second
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its messages hold parts of URLs
        self._service: Any = apprise.Apprise()  # its types are partly unknown
        if not self._service.add(url):
            raise InvalidArgumentError(self.name, "a URL that apprise knows, such as mailto:// or slack://")

    async def deliver(self, alert: Alert) -> None:
        """Send it, in a thread: apprise blocks."""
        if not await asyncio.to_thread(self._send, alert):
            raise DeliveryError("the service did not take an alert")

    def _send(self, alert: Alert) -> bool:
        import apprise  # noqa: PLC0415 - as above

        kinds = {
            Severity.ERROR: apprise.NotifyType.FAILURE,
            Severity.WARNING: apprise.NotifyType.WARNING,
            Severity.INFO: apprise.NotifyType.INFO,
        }
        title, kind = f"wa-phone: {alert.severity.value}", kinds[alert.severity]
        return bool(self._service.notify(body=alert.sentence, title=title, notify_type=kind, body_format="text"))

    async def close(self) -> None:
        """Do nothing: it holds nothing."""
