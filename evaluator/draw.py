"""Which requests are to be labelled, when not all are: a lot that anyone can draw again. Pure."""

import hashlib


def draw(experiment: str, request_id: str) -> float:
    """Return where a request falls in [0, 1), uniformly: always the same within an experiment.

    It depends on nothing but the two names, so neither an answer nor whoever labels can influence
    it: the requests whose draw is below q are a random sample of rate q, and so are the first n of
    any cohort in the order of their draws.
    """
    digest = hashlib.blake2b(
        request_id.encode(), key=hashlib.sha256(experiment.encode()).digest(), digest_size=8
    ).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
