"""What a router reads predictions with, for exposure tokens: as the evaluator reads them.

A router process imports this file when a route first needs it (``--reader``), and with it
JMESPath, which no other router has.
"""

from collections.abc import Callable

from evaluator.extract import Extractor, is_cut
from evaluator.metric import is_readable_in_principle
from router.observation import Outcome


def reader(prediction: str | None) -> Callable[[Outcome], tuple[str | None, bool]]:
    """Return a reader of the predictions at a JMESPath; None stands for whole bodies.

    It returns the canonical text of the prediction in a whole answer, or None, and whether that
    is for a reason of ours. ValueError if ``prediction`` is not JMESPath.
    """
    extractor = Extractor(prediction)

    def read(outcome: Outcome) -> tuple[str | None, bool]:
        if not is_readable_in_principle(outcome):
            return None, False
        found = extractor.read(outcome)
        return found.text, is_cut(outcome, found)

    return read
