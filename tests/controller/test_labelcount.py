from controller.labelcount import LabelCounts
from evaluator.join import Label, LabelOutcome, LabelResult

UNKNOWN = LabelResult(LabelOutcome.UNKNOWN, "no observation has this id")


def test_labels_are_counted_by_what_became_of_them_on_the_route_that_has_them():
    counts = LabelCounts()
    joined = LabelResult(LabelOutcome.ACCEPTED, "joined", "digits")
    labels = [Label("r1", "1"), Label("r2", "1", route="digits")]
    counts.count(labels, [joined, UNKNOWN], {"digits"})
    counts.count_early("digits", 3)
    found = counts.of("digits")
    assert (found["accepted"], found["unknown"], found["early"]) == (1, 1, 3)
    assert sum(counts.of().values()) == 0


def test_routes_that_senders_invent_are_counted_together():
    """A sender may name any number of routes: counting by them would fill the memory."""
    counts = LabelCounts()
    labels = [Label(f"nobody-{k}", "1", route=f"invented-{k}") for k in range(50)]
    counts.count(labels, [UNKNOWN] * 50, {"digits"})
    assert counts.of()["unknown"] == 50
    assert len(counts._counted) == 1
