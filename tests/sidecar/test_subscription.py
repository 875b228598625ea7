"""Labels from a real JetStream subject: durable before acknowledged, and a broker that fails."""

import asyncio
import doctest
import json
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.store import StoreError
from evaluator.join import Label, LabelOutcome, LabelResult
from router.tasks import spawn
from sidecar import subscription as module
from sidecar.desk import Busy
from sidecar.natskey import read_credentials
from sidecar.natsspec import NatsSpec
from sidecar.subscription import Subscription, read
from sidecar.ways import Ways
from tests.router.pki import Authority
from tests.sidecar.broker import NEEDED, Broker, operator

pytestmark = [pytest.mark.peer, NEEDED]


class Store:
    """Takes labels as the pump does: a known one is a duplicate."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.calls = 0
        self.fault: Exception | None = None
        self.hang: asyncio.Event | None = None
        """Set, its calls return only after it is."""

    async def __call__(self, labels: Sequence[Label], size_bytes: int) -> list[LabelResult]:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        results = []
        for label in labels:
            is_new = label.request_id not in self.known
            self.known.setdefault(label.request_id, label.label)
            outcome = LabelOutcome.ACCEPTED if is_new else LabelOutcome.DUPLICATE
            results.append(LabelResult(outcome, ""))
        if self.hang is not None:
            await self.hang.wait()  # durable, and not acknowledged
        return results


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    monkeypatch.setattr(module, "FETCH_S", 0.3)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    made: list[Broker] = []

    def make(config: str = "") -> Broker:
        made.append(Broker(tmp_path, config))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def broker(make: Callable[..., Broker]) -> Broker:
    one = make()
    one.start()
    return one


def spec(broker: Broker, **more: Any) -> NatsSpec:
    return NatsSpec(
        servers=(broker.url,),
        stream="LABELS",
        subject="labels.>",
        durable="understudy",
        **{"ack_wait_s": 1.0, **more},
    )


@asynccontextmanager
async def reading(wanted: NatsSpec, store: Store, ways: Ways | None = None) -> Any:
    one = Subscription(wanted, store, Ways() if ways is None else ways)
    task = spawn(one.run(), name="subscription")
    try:
        yield one
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


async def until_async(condition: Callable[[], Awaitable[object]], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.05)


def body(*ids: str) -> bytes:
    return "\n".join(json.dumps({"request_id": one, "label": 1}) for one in ids).encode()


async def test_what_was_there_before_us_and_what_comes_later_is_read(broker: Broker) -> None:
    store, ways = Store(), Ways()
    await broker.publish([body(f"a{k}") for k in range(200)])
    async with reading(spec(broker), store, ways) as one:
        await until(lambda: len(store.known) == 200)
        await broker.publish([body("b", "c")])
        await until(lambda: len(store.known) == 202)
        await until_async(lambda: _is_done(broker))
        assert one.error is None
    assert ways.labels == {("nats", "accepted"): 202}
    assert store.calls < 200, "messages that wait share a commit"


async def _is_done(broker: Broker) -> bool:
    return await broker.left() == (0, 0)


async def test_what_is_durable_and_not_acknowledged_comes_again_and_counts_once(
    broker: Broker,
) -> None:
    """As after kill -9 between the two: nothing lost, nothing twice."""
    store, ways = Store(), Ways()
    await broker.publish([body(f"a{k}") for k in range(10)])
    store.hang = asyncio.Event()
    async with reading(spec(broker), store):
        await until(lambda: store.known)
    first = len(store.known)
    assert (await broker.left())[1] > 0, "acknowledged too early"
    store.hang = None
    async with reading(spec(broker), store, ways):
        await until(lambda: ways.labels["nats", "duplicate"] == first)
        await until_async(lambda: _is_done(broker))
    assert len(store.known) == 10 == ways.labels.total()


@pytest.mark.parametrize("fault", [Busy("full"), StoreError("disk full")], ids=["full", "store"])
async def test_what_cannot_be_taken_now_is_held_and_not_lost(
    broker: Broker, fault: Exception
) -> None:
    store, ways = Store(), Ways()
    store.fault = fault
    await broker.publish([body("a"), body("b")])
    async with reading(spec(broker), store, ways):
        await until(lambda: store.calls >= 3)
        assert (await broker.left())[1] == 2
        store.fault = None
        await until(lambda: len(store.known) == 2)
        await until_async(lambda: _is_done(broker))
    refused = "full" if isinstance(fault, Busy) else "store"
    assert ways.refused["nats", refused] >= 3 and ways.labels == {("nats", "accepted"): 2}


async def test_poison_is_terminated_and_counted_and_its_neighbours_are_taken(
    broker: Broker,
) -> None:
    store, ways = Store(), Ways()
    bad = [b"", b"nonsense", b"\xff\xfe", b'{"request_id": 7}', b"[]", b"{" * 9_000]
    mixed = body("b") + b'\n{"request_id": "c"}'
    await broker.publish([body("a"), *bad, mixed, body("d")])
    async with reading(spec(broker), store, ways):
        await until(lambda: len(store.known) == 3)
        await until_async(lambda: _is_done(broker))
    assert ways.refused == {("nats", "unreadable"): len(bad)}
    assert ways.labels["nats", "accepted"] == 3 and ways.labels["nats", "invalid"] == 2


async def test_events_are_read_too(broker: Broker) -> None:
    store = Store()
    event = {"id": "e", "source": "/s", "specversion": "1.0", "type": "io.understudy.label"}
    structured = json.dumps(event | {"data": {"label": 1}}).encode()
    await broker.publish([structured], {"Content-Type": "application/cloudevents+json"})
    binary = {f"ce-{name}": value for name, value in (event | {"id": "f"}).items()}
    await broker.publish([b'{"label": 2}'], binary)
    async with reading(spec(broker), store):
        await until(lambda: store.known == {"e": "1", "f": "2"})


async def test_a_broker_that_is_away_is_waited_for_at_start_and_later(
    make: Callable[..., Broker],
) -> None:
    broker, store = make(), Store()
    async with reading(spec(broker), store) as one:
        await until(lambda: one.error not in (None, "not connected yet"))
        broker.start()
        await broker.publish([body("a")])
        await until(lambda: "a" in store.known)
        assert one.error is None
        broker.kill()
        await until(lambda: one.error is not None)
        broker.start()
        await broker.publish([body("b")])
        await until(lambda: "b" in store.known and one.error is None)


async def test_another_server_is_tried_when_one_is_away(broker: Broker) -> None:
    store = Store()
    await broker.publish([body("a")])
    wanted = spec(broker)
    two = NatsSpec(
        servers=("nats://127.0.0.1:1", broker.url),
        stream=wanted.stream,
        subject=wanted.subject,
        durable=wanted.durable,
    )
    async with reading(two, store):
        await until(lambda: "a" in store.known)


async def test_a_stream_that_is_not_there_is_said_and_found_once_it_is(broker: Broker) -> None:
    store = Store()
    async with reading(spec(broker), store) as one:
        await until(lambda: one.error is not None and "stream not found" in one.error)
        await broker.publish([body("a")])
        await until(lambda: "a" in store.known)


async def test_a_consumer_of_another_kind_is_left_alone(broker: Broker) -> None:
    await broker.publish([body("a")])
    client = await broker.client()
    from nats.js.api import AckPolicy, ConsumerConfig

    other = ConsumerConfig(durable_name="understudy", ack_policy=AckPolicy.NONE)
    await client.jetstream().add_consumer("LABELS", other)
    await client.close()
    store = Store()
    async with reading(spec(broker), store) as one:
        await until(lambda: one.error is not None and "explicit acks" in one.error)
    assert store.calls == 0


async def test_a_broker_with_tls_must_show_a_certificate_that_we_trust(
    make: Callable[..., Broker], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    Authority(tmp_path).issue("broker")
    Authority(tmp_path / "other")
    tls = f'tls {{ cert_file: "{tmp_path}/broker.pem", key_file: "{tmp_path}/broker.key" }}\n'
    broker, store = make(tls), Store()
    broker.start()
    ca = str(tmp_path / "authority.pem")
    trusting = ssl.create_default_context(cafile=ca)
    await broker.publish([body("a")], tls=trusting)
    stranger = str(tmp_path / "other" / "authority.pem")
    async with reading(spec(broker, ca=stranger), store) as one:
        await until(lambda: one.error is not None and "certificate" in one.error.lower())
    assert store.calls == 0
    async with reading(spec(broker, ca=ca), store):
        await until(lambda: "a" in store.known)


async def test_credentials_open_what_is_closed_without(
    make: Callable[..., Broker], tmp_path: Path
) -> None:
    config, right, wrong = operator()
    (tmp_path / "right.creds").write_bytes(right)
    (tmp_path / "wrong.creds").write_bytes(wrong)
    broker, store = make(config), Store()
    broker.start()
    known = read_credentials(tmp_path / "right.creds")
    login = {"user_jwt_cb": lambda: known.jwt, "signature_cb": known.signer()}
    await broker.publish([body("a")], **login)
    for refused in ("", str(tmp_path / "wrong.creds")):
        async with reading(spec(broker, credentials=refused), store) as one:
            await until(lambda one=one: one.error is not None and "uthorization" in one.error)
    assert store.calls == 0
    async with reading(spec(broker, credentials=str(tmp_path / "right.creds")), store):
        await until(lambda: "a" in store.known)


async def test_without_the_package_one_sentence_says_how_to_get_it(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    async with reading(spec(broker), Store()) as one:
        await until(lambda: one.error == module.NO_NATS)


def test_a_message_is_read_as_a_body_is() -> None:
    assert [item.label.request_id for item in read(body("a", "b"), {}).items] == ["a", "b"]
    parsed = read(b"nonsense", {})
    assert parsed.items == () and parsed.faults == ()


def test_examples_hold() -> None:
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
