"""Keys of `labels:`: where the truth comes from, and when."""

from typing import Literal

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import (
    BatchSize,
    FilePath,
    FunctionName,
    PositiveDuration,
    ScorerUrl,
    Share,
    Size,
    default,
)


class Scorer(Section):
    """A service, or a Python function, that judges answers and so makes their labels."""

    url: ScorerUrl | None = Field(
        default=None,
        description='POST {"items": [{"request_id", "champion", "challenger"}]} with predictions '
        '(null where there is none); the answer is {"scores": [{"champion", "challenger"}]}.',
    )
    function: FunctionName | None = Field(
        default=None,
        description="In place of url: package.module:function, or the name of an entry point in "
        "the group understudy.scorers. It takes the list of items and returns the list of scores.",
    )
    batch: BatchSize = default("32", "Items in one call, at most.")
    deadline: PositiveDuration = default(
        "10s", "For one call. What is not scored then has no label."
    )


class TokenSection(Section):
    """Whoever is answered by a variant drawn by lot gets a signed token with the answer."""

    keys: FilePath = Field(
        description="File with the keys, one a line: a key id and 32 to 64 secret bytes in base64. "
        "The first signs, all verify. Mode 0600 or 0440; read again when it changes."
    )
    hold: Size = default(
        "64KiB",
        "Answers up to this size (and up to `limits.capture`) are held back until they are whole, "
        "so that the token holds the prediction. Larger ones and streams of events are not.",
    )


class Labels(Section):
    """When the truth arrives."""

    window: PositiveDuration = Field(
        description="A label is accepted until the request is this old; then it is late."
    )
    maturity: PositiveDuration = Field(
        description="A request is judged when it is this old; its label must be there by then."
    )
    missing: Literal["ignore", "incorrect"] = Field(
        default="ignore",
        description="What a request without a label at maturity counts as. ignore assumes that "
        "labels go missing alike for both variants.",
    )
    sampled: Share | None = Field(
        default=None,
        description="The share of the requests, drawn at random by whoever labels, that get one. "
        "Only then may a `proxy` stand in for the others. GET /v1/labels/wanted draws them.",
    )
    wanted: Literal["all", "disagreements"] = Field(
        default="all",
        description="disagreements: of mirrored pairs only those whose answers differ are "
        "labelled (all of them, or with `sampled` those that GET /v1/labels/wanted draws), and "
        "equal answers count as no difference. One that has no label at maturity then counts "
        "against whatever is claimed, unless `missing` says incorrect.",
    )
    scorer: Scorer | None = Field(
        default=None,
        description="Who makes the labels, for `mean` with `source: scorer`; without it they come "
        "to the admin port.",
    )
    token: TokenSection | None = Field(
        default=None,
        description="Answers carry x-understudy-exposure, to be sent back with the label.",
    )
    join: Literal["store", "token"] = Field(
        default="store",
        description="store: what waits for its label waits in the store; a token helps where it is "
        "not there. token: of what was given a token nothing is stored before its label comes.",
    )
