"""The pump: everything that waits is one call, and nothing is acknowledged before it returned."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from controller.gates.report import GateReport
from controller.gates.task import GateTask
from controller.store import StoreDamaged, StoreError
from evaluator.join import Label
from router.frames import Ejected
from router.observation import Batch
from router.tasks import spawn
from sidecar.engine import Engine
from sidecar.pump import LabelRequest, Pump
from tests.controller.builders import FUNCTIONAL, route_intent, variant
from tests.sidecar.double import Double

REPORT = GateReport("digits-2", True, "answered")
GATE = GateTask(
    route=route_intent(),
    stage=FUNCTIONAL,
    experiment="x",
    challenger=variant("digits-2"),
    champion=variant("digits-1"),
)


class Bench:
    """A pump on a double; what it acknowledges is noted."""

    def __init__(self) -> None:
        self.double = Double()
        self.engine = Engine(lambda: self.double.controller)
        self.acknowledged: dict[str, int] = {}
        self.gate_answer: asyncio.Future[GateReport] = asyncio.get_running_loop().create_future()
        self.started: list[GateTask] = []
        self.condemned: list[str] = []
        self.pump = Pump(
            self.engine,
            self._acknowledge,
            self._run_gate,
            condemn=self.condemned.append,
        )

    def _run_gate(self, task: GateTask) -> asyncio.Future[GateReport]:
        self.started.append(task)
        return self.gate_answer

    def _acknowledge(self, done: Mapping[str, int]) -> None:
        self.acknowledged |= done

    def observe(self, *sequences: int) -> None:
        for sequence in sequences:
            assert self.pump.batches.offer(Batch("w0", sequence, ()), count=1, size_bytes=10)

    def label(self, *ids: str) -> LabelRequest:
        request = LabelRequest([Label(name, "1") for name in ids])
        assert self.pump.labels.offer(request, count=len(ids), size_bytes=10)
        return request

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    one = Bench()
    await one.engine.start()
    yield one
    one.pump.stop()
    one.double.hang.set()
    await one.engine.close()


async def test_batches_that_wait_are_one_call_and_a_step_follows(bench: Bench) -> None:
    bench.observe(1, 2, 3)
    await bench.pump.turn()
    assert bench.double.calls == ["ingest 3", "step"]
    assert bench.acknowledged == {"w0": 3}
    assert bench.pump.batches.count == 0


async def test_batches_are_kept_in_order_until_the_disk_takes_them(bench: Bench) -> None:
    bench.double.is_full = True
    bench.observe(1, 2)
    await bench.pump.turn()
    assert bench.acknowledged == {} and bench.pump.store_error is not None
    bench.observe(3)
    bench.double.is_full = False
    await bench.pump.turn()
    assert bench.double.ingested == [("w0", 1), ("w0", 2), ("w0", 3)]
    assert bench.acknowledged == {"w0": 3} and bench.pump.store_error is None


async def test_disk_that_is_full_does_not_stop_the_steps(bench: Bench) -> None:
    """A step may have to roll back."""
    bench.double.is_full = True
    bench.observe(1)
    bench.label("a")
    bench.pump.eject(Ejected("w0", "digits", "digits-2", 5, at_ns=1))
    await bench.pump.turn()
    assert bench.double.calls[-1] == "step"


async def test_labels_of_all_requests_are_one_call_and_each_gets_its_own_answer(
    bench: Bench,
) -> None:
    first, second = bench.label("a", "unknown-b"), bench.label("c")
    await bench.pump.turn()
    assert bench.double.calls[0] == "label 3"
    outcomes = [result.outcome.value for result in await first.answer]
    assert outcomes == ["accepted", "unknown"]
    assert [result.outcome.value for result in await second.answer] == ["accepted"]


async def test_labels_are_not_acknowledged_when_the_disk_refuses(bench: Bench) -> None:
    bench.double.is_full = True
    request = bench.label("a")
    await bench.pump.turn()
    with pytest.raises(StoreError):
        await request.answer
    assert bench.pump.labels.count == 0


async def test_a_state_that_shows_its_damage_is_condemned_and_ends_the_process(
    bench: Bench,
) -> None:
    """Opened again it is moved aside; gone on with, it would fail for ever."""
    bench.double.step_error = StoreDamaged("malformed")
    await bench.pump.turn()
    assert bench.condemned == ["malformed"]
    with pytest.raises(StoreDamaged):
        await bench.pump.turn()


async def test_a_flood_of_labels_goes_in_bit_by_bit_with_a_step_between_and_to_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback must not wait for all of them."""
    monkeypatch.setattr("sidecar.pump.LABELS_AT_ONCE", 4)
    requests = [bench.label("a", "b", "c") for _ in range(3)]
    await bench.pump.turn()
    assert bench.double.calls == ["label 3", "step"]
    bench.pump.stop()
    await bench.pump.run()
    assert bench.double.calls == ["label 3", "step"] * 3
    assert all(request.answer.done() for request in requests)


async def test_label_whose_client_left_goes_in_all_the_same(bench: Bench) -> None:
    gone, stays = bench.label("a"), bench.label("b")
    gone.answer.cancel()
    await bench.pump.turn()
    assert [label.request_id for label in bench.double.labelled] == ["a", "b"]
    assert len(await stays.answer) == 1


async def test_ejection_comes_before_observations(bench: Bench) -> None:
    bench.observe(1)
    bench.pump.eject(Ejected("w0", "digits", "digits-2", 5, at_ns=1))
    await bench.pump.turn()
    assert bench.double.calls == ["eject digits-2", "ingest 1", "step"]
    assert bench.double.ejected == [("digits", "digits-2", 5)]


async def test_ejection_is_tried_again_until_it_is_taken(bench: Bench) -> None:
    bench.double.is_full = True
    bench.pump.eject(Ejected("w0", "digits", "digits-2", 5, at_ns=1))
    await bench.pump.turn()
    bench.double.is_full = False
    await bench.pump.turn()
    await bench.pump.turn()
    assert bench.double.ejected == [("digits", "digits-2", 5)]


async def test_newest_table_of_a_router_is_fenced_once(bench: Bench) -> None:
    bench.pump.fence(3)
    bench.pump.fence(9)
    bench.pump.fence(4)
    await bench.pump.turn()
    await bench.pump.turn()
    assert bench.double.fences == [9]


async def test_step_comes_round_without_any_news(bench: Bench) -> None:
    running = spawn(bench.pump.run(), name="pump")
    await bench.until(lambda: bench.double.calls.count("step") >= 4)
    bench.pump.stop()
    await running


async def test_news_do_not_wait_for_the_next_tick(bench: Bench) -> None:
    running = spawn(bench.pump.run(), name="pump")
    loop = asyncio.get_running_loop()
    began = loop.time()
    for sequence in range(1, 21):
        bench.observe(sequence)
        await bench.until(lambda n=sequence: bench.acknowledged.get("w0") == n)  # type: ignore[misc] # bound now
    assert loop.time() - began < 1.0  # twenty ticks would take two seconds
    bench.pump.stop()
    await running


async def test_what_arrives_during_one_commit_shares_the_next(bench: Bench) -> None:
    running = spawn(bench.pump.run(), name="pump")
    bench.double.hang.clear()
    bench.observe(1)
    await bench.until(lambda: not bench.pump.batches.take())
    await asyncio.sleep(0.02)
    bench.observe(2, 3, 4)
    requests = [bench.label("a"), bench.label("b")]
    bench.double.hang.set()
    await asyncio.gather(*(request.answer for request in requests))
    assert "label 2" in bench.double.calls
    bench.pump.stop()
    await running
    assert [sequence for _, sequence in bench.double.ingested][-3:] == [2, 3, 4]
    assert "ingest 3" in bench.double.calls


async def test_stop_takes_in_what_still_waits(bench: Bench) -> None:
    running = spawn(bench.pump.run(), name="pump")
    await asyncio.sleep(0)
    bench.pump.stop()
    bench.observe(1)
    request = bench.label("a")
    await running
    assert bench.acknowledged == {"w0": 1} and len(await request.answer) == 1


async def test_gate_runs_beside_the_steps_and_is_reported(bench: Bench) -> None:
    bench.double.gates = [GATE]
    await bench.pump.turn()
    await bench.pump.turn()
    assert bench.double.reports == []
    bench.gate_answer.set_result(REPORT)
    await bench.until(lambda: bench.double.reports)
    assert bench.double.reports == [("digits", REPORT)]
    assert bench.started == [GATE]  # while it was under way it was not begun again


async def test_gate_that_nobody_wants_any_more_ends(bench: Bench) -> None:
    """A challenger that was rolled back is not asked a hundred thousand rows."""
    bench.double.gates = [GATE]
    await bench.pump.turn()
    await bench.until(lambda: bench.started)
    bench.double.gates = []
    await bench.pump.turn()
    await bench.until(bench.gate_answer.cancelled)
    await bench.pump.turn()
    assert bench.double.reports == []


async def test_fault_of_ours_ends_the_run(bench: Bench) -> None:
    """The memory may be half changed; the disk is not."""
    bench.double.step_error = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        await bench.pump.run()


async def test_fault_in_a_gate_ends_the_run(bench: Bench) -> None:
    bench.double.gates = [GATE]
    bench.gate_answer.set_exception(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(bench.pump.run(), 5)
