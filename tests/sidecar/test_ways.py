"""Every label of every way is counted once, under a word that /metrics knows."""

from evaluator.join import Label, LabelOutcome, LabelResult
from sidecar import metrics
from sidecar.labels import Fault, Item, Parsed
from sidecar.metrics import Readout
from sidecar.ways import Ways


def test_results_and_faults_add_up_to_what_was_in_the_body() -> None:
    ways = Ways()
    items = tuple(Item(k, Label(f"r{k}", "1")) for k in range(3))
    outcomes = [LabelOutcome.ACCEPTED, LabelOutcome.ACCEPTED, LabelOutcome.UNKNOWN]
    results = [LabelResult(outcome, "") for outcome in outcomes]
    ways.count("nats", Parsed(items, (Fault(3, None, "not JSON"),)), results)
    assert ways.labels == {
        ("nats", "accepted"): 2,
        ("nats", "unknown"): 1,
        ("nats", "invalid"): 1,
    }


def test_every_outcome_of_a_label_is_a_word_of_the_metrics() -> None:
    assert {outcome.value for outcome in LabelOutcome} <= set(metrics.LABEL_RESULTS)


def test_metrics_show_each_way_with_all_its_words_from_the_start() -> None:
    ways = Ways()
    ways.refuse("http", "full")
    text = metrics.render(Readout({}, {}, ways=ways)).decode()
    assert 'understudy_labels_received_total{result="accepted",way="nats"} 0.0' in text
    assert 'understudy_label_bodies_refused_total{reason="full",way="http"} 1.0' in text
