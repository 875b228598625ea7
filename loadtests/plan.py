"""Which peer does which work, and what a command line picks of that. Pure but for finding peers."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.peers import (
    Peer,
    aiohttp_peer,
    direct_peer,
    envoy_peer,
    haproxy_peer,
    nginx_peer,
    relay_peer,
)
from loadtests.router_alone import router_peer
from loadtests.understudy import understudy_peer
from loadtests.work import (
    BODY_1M,
    BODY_64K,
    IDLE,
    ONE_WORKER,
    PACED,
    PREDICT,
    STREAM,
    TWO_WORKERS,
    Mode,
    Work,
)

WORKS = (PREDICT, BODY_64K, BODY_1M, STREAM, PACED, IDLE, ONE_WORKER, TWO_WORKERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row to measure."""

    peer: Peer
    work: Work

    @property
    def name(self) -> str:
        return self.peer.name + self.work.suffix


def all_entries() -> list[Entry]:
    """Return every row, in the order of their turns: work by work, ours first."""
    both = (Mode.SPLIT, Mode.MIRROR)
    of_work: dict[Work, list[Peer]] = {
        PREDICT: [
            *(understudy_peer(mode) for mode in both),
            *(envoy_peer(mode) for mode in both),
            *(nginx_peer(mode) for mode in both),
            haproxy_peer(),
            *(aiohttp_peer(mode) for mode in both),
            relay_peer(),
        ],
        BODY_64K: [*_split_peers(), relay_peer()],
        BODY_1M: [*_split_peers(), relay_peer()],
        STREAM: [direct_peer(), *_split_peers()],
        PACED: [direct_peer(), *_split_peers()],
        IDLE: _split_peers(),
        ONE_WORKER: [understudy_peer(Mode.SPLIT)],
        TWO_WORKERS: [understudy_peer(Mode.SPLIT)],
    }
    return [Entry(peer=peer, work=work) for work in WORKS for peer in of_work[work]]


def _split_peers() -> list[Peer]:
    split = Mode.SPLIT
    return [understudy_peer(split), envoy_peer(split), nginx_peer(split), haproxy_peer()]


def router_entries() -> list[Entry]:
    """Return the rows of the router alone, which are measured only when they are named."""
    works = (PREDICT, BODY_64K, BODY_1M, STREAM, PACED, IDLE)
    split = [Entry(peer=router_peer(Mode.SPLIT), work=work) for work in works]
    others = [router_peer(Mode.SPLIT, signs=True), router_peer(Mode.MIRROR)]
    return [*split, *(Entry(peer=peer, work=PREDICT) for peer in others)]


def choose_entries(only: str | None, works: str | None = None) -> list[Entry]:
    """Return the rows that ``only`` and ``works`` both name, by comma; all for None.

    A whole name of a row is that row; otherwise it is the beginning of names. A row that is
    compared with another of its round brings that one with it. ValueError for what nobody is
    called.
    """
    entries = all_entries() if only is None else [*all_entries(), *router_entries()]
    if works is not None:
        wanted = _listed(works, [work.name for work in WORKS], "work")
        entries = [entry for entry in entries if entry.work.name in wanted]
    if only is None:
        return entries
    names = [entry.name for entry in entries]
    chosen = _with_references(_listed(only, names, "row"))
    return [entry for entry in entries if entry.name in chosen]


def _with_references(names: Sequence[str]) -> set[str]:
    found = set(names)
    for name in names:
        head, _, suffix = name.rpartition("-")
        if f"-{suffix}" in (STREAM.suffix, PACED.suffix):
            found.add(f"direct-{suffix}")
        if f"-{suffix}" == TWO_WORKERS.suffix:
            found.add(head + ONE_WORKER.suffix)
    return found


def _listed(given: str, known: Sequence[str], kind: str) -> list[str]:
    found: list[str] = []
    for wanted in (part.strip() for part in given.split(",")):
        fitting = [wanted] if wanted in known else [n for n in known if n.startswith(wanted)]
        if not fitting:
            raise ValueError(f"no {kind} is called {wanted!r}; known: {', '.join(known)}")
        found += fitting
    return found
