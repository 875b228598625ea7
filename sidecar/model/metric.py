"""Keys of a metric: what is compared, and by how much it must differ."""

from typing import Literal

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import (
    Amount,
    Bound,
    Class,
    Expression,
    Finite,
    Horizon,
    Kind,
    Margin,
    Quantile,
    RoleName,
)


class MetricSection(Section):
    """What is compared between champion and challenger."""

    kind: Kind = Field(
        description="correct: the prediction equals the label. error: status 5xx or no answer. "
        "latency: seconds to the whole answer. agreement: a mirrored pair has equal answers. "
        "mean: a number in the answer or the label. loss: how far the prediction is from the "
        "label. divergence: how far the answers of a mirrored pair are apart. drift: how far the "
        "distributions of a score are apart. precision, recall, "
        "f1: of one class. auc: how well a score ranks one class."
    )
    role: RoleName = Field(
        description="objective: must improve before a promotion. guardrail: must not worsen. "
        "proxy: may hold or roll back, never promotes."
    )
    detect: Amount | None = Field(
        default=None,
        description="objective: the improvement worth finding, absolute. Evidence that it is not "
        "there is told, and may stop the rollout (on_futility).",
    )
    margin: Amount | None = Field(
        default=None,
        description="guardrail: how much worse is still acceptable, absolute; for latency "
        "relative to the champion's value at the same time.",
    )
    margin_relative: Margin | None = Field(
        default=None,
        description="The same as a share of the champion's value at the same time, in place of "
        "margin: 10% allows 110 errors where the champion has 100.",
    )
    within: Amount | None = Field(
        default=None,
        description="In place of detect or margin: the challenger must be shown to be neither "
        "better nor worse by this, absolute.",
    )
    at_least: Bound | None = Field(
        default=None,
        description="agreement: the share of pairs that must agree. correct, mean, loss: what the "
        "challenger must reach by itself, whatever the champion does (cold start).",
    )
    at_most: Bound | None = Field(
        default=None,
        description="divergence: what the mean distance must stay below. drift: what the shares of "
        "answers at or below a score may differ by. error, mean, loss: what "
        "the challenger must stay below by itself.",
    )
    quantile: Quantile | None = Field(
        default=None,
        description="latency: the quantile that the margin is about, such as 0.95. pinball loss: "
        "the quantile that is predicted.",
    )
    value: Expression | None = Field(
        default=None,
        description="mean: JMESPath to the number. Without it the route's prediction, or the "
        "whole label.",
    )
    source: Literal["answer", "label", "scorer"] | None = Field(
        default=None,
        description="mean: where the number is; answer if it is not said. scorer: in what "
        "labels.scorer says of the variant's answer.",
    )
    direction: Literal["higher", "lower"] | None = Field(
        default=None, description="mean: which is better; higher if it is not said."
    )
    range: list[Finite] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="mean, loss, divergence: [lowest, highest] number there can be; then the test "
        "is exact. Without it numbers are held back to the champion's earlier quantiles 0.1 % and "
        "99.9 %.",
    )
    loss: Literal["absolute", "squared", "log", "brier", "pinball"] | None = Field(
        default=None, description="loss: how the distance of prediction and label is counted."
    )
    distance: Literal["absolute", "total_variation", "cosine"] | None = Field(
        default=None,
        description="divergence: |a - b| of two numbers, total variation of two vectors of "
        "probabilities (0 to 1), or 1 - cosine of two vectors (0 to 2).",
    )
    of: Expression | None = Field(
        default=None,
        description="loss, divergence, drift, auc: JMESPath to what is compared in the answer (a "
        "number, a vector, a score). Without it the route's prediction.",
    )
    positive: Class | None = Field(
        default=None,
        description="precision, recall, f1, auc: the class they are about, as labels write it.",
    )
    covariate: Expression | None = Field(
        default=None,
        description="mean, loss: JMESPath to a number in the answer or the label that goes with "
        "the metric and that the variant cannot have changed, such as the user's past; it lowers "
        "the number of requests needed. Split mode only.",
    )
    proxy: Expression | None = Field(
        default=None,
        description="mean (from labels), loss: JMESPath in the answer to a guess of the number, "
        "for requests whose label was not drawn; needs labels.sampled.",
    )
    horizon: Horizon | None = Field(
        default=None,
        description="Give up after so many observations (pairs, or requests at a share of 50%), "
        "and need fewer until then. Without it the test goes on for ever.",
    )
