"""Labels that came with an exposure token: is it ours, and what does it tell?

Whoever forges, alters or mixes up tokens gets one answer for all of that, and learns nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from controller.policy import RouteIntent
from evaluator.exposed import Exposed
from evaluator.extract import canonical_text
from evaluator.join import Label, LabelOutcome, LabelResult
from router.keyfile import KeyFile
from router.token import Served, claims, verify

FORGED = LabelResult(LabelOutcome.FORGED, "not a token of ours for this request and route")

Open = Callable[[Served, str, int], Exposed]
"""From what a token of ours says, its label (canonical JSON text) and the time now (ns)."""


class Tokens:
    """Knows the key files of all routes. Owned by the Intake, in the engine's thread."""

    def __init__(self) -> None:
        self._files: dict[str, KeyFile] = {}
        """By route; routes that name the same file share it."""
        self._counts: dict[str, Counter[str]] = {}
        self.n_forged = 0

    def use(self, routes: Iterable[RouteIntent]) -> None:
        """Take the tokens of these routes, and of no others."""
        known = {file.path: file for file in self._files.values()}
        named = {route.name: route.token.keys for route in routes if route.token is not None}
        files = {path: known.get(path) or KeyFile(path) for path in set(named.values())}
        self._files = {route: files[path] for route, path in named.items()}

    def read(
        self, labels: Sequence[Label], open_: Open, *, now_ns: int
    ) -> list[Label | LabelResult]:
        """Return each label with what its token tells, or what it is refused with.

        Labels without a token come back as they are. Key files that have changed are read again
        first: a router may have signed with a new key a moment ago.
        """
        if any(label.token is not None for label in labels):
            for file in set(self._files.values()):
                file.look()
        return [
            label if label.token is None else self._read(label, label.token, open_, now_ns)
            for label in labels
        ]

    def count(self, read: Sequence[Label | LabelResult], results: Sequence[LabelResult]) -> None:
        """Count what became of the labels that came with a token, as ``read`` returned them."""
        for label, result in zip(read, results, strict=True):
            if isinstance(label, LabelResult):
                self.n_forged += 1
            elif label.token is not None and label.route is not None:
                self._counts.setdefault(label.route, Counter())[result.outcome.value] += 1

    def counts(self, route: str) -> dict[str, int]:
        """Return what became of the tokens of ``route``; nothing where it gives none."""
        return dict(self._counts.get(route, Counter()))

    def _read(self, label: Label, token: str, open_: Open, now_ns: int) -> Label | LabelResult:
        served = claims(token)
        file = self._files.get(served.route) if served is not None else None
        if served is None or file is None or not verify(token, file.keys):
            return FORGED
        if label.request_id not in ("", served.request_id):
            return FORGED
        if label.route not in (None, served.route):
            return FORGED
        named = replace(label, request_id=served.request_id, route=served.route)
        try:
            text = canonical_text(label.label)
        except ValueError:
            return named  # the journal says what is wrong with it
        return replace(named, exposure=open_(served, text, now_ns))
