"""What can go wrong between two byte streams, named by who is at fault.

RouterError
 ├── RequestError         the client sent something we will not forward; it gets ``status_hint``
 │    └── RequestTimeout  ... or sent it too slowly
 └── AnswerError          a variant answered with something we will not forward

Pure. Every error closes the connection that it came from: after one, nobody can say where the
next message begins.
"""


class RouterError(Exception):
    """Base of the data plane's errors."""

    status_hint = 500
    fault = ""

    def __init__(self, message: str, *, status_hint: int | None = None) -> None:
        super().__init__(message)
        if status_hint is not None:
            self.status_hint = status_hint


class RequestError(RouterError):
    """The client is at fault. ``status_hint`` is the 4xx or 5xx status to answer with."""

    status_hint = 400


class RequestTimeout(RequestError):
    """The client took longer than the deadline to send its head or its body."""

    status_hint = 408


class AnswerError(RouterError):
    """The variant is at fault: its answer is not HTTP/1.1 that may be passed on."""

    status_hint = 502
    fault = "protocol"
