"""What wakes somebody, and what they do about it: the alerts. Pure data.

Thresholds are of the service (room, age, loss), never of a model: models are judged by the
evaluator, and an alert only says what it found.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; ``todo`` is its line in the runbook of docs/operations.md."""

    name: str
    expression: str
    lasts: str
    """How long it must hold before it fires: ``0m`` for what happened."""
    severity: str
    """critical: somebody now; warning: today; info: read it."""
    summary: str
    todo: str


def _happened(counter: str, selector: str, window: str) -> str:
    """Return that ``counter`` grew, also when its series begins with the first event."""
    series = f"{counter}{selector}"
    return f"increase({series}[{window}]) > 0 or ({series} > 0 unless {series} offset {window})"


ALERTS = (
    Alert(
        "UnderstudyDown",
        'up{job=~".*understudy.*"} == 0',
        "2m",
        "critical",
        "The controller process of {{ $labels.instance }} does not answer.",
        "Traffic goes on with the last table and observations wait in the routers. See the "
        "supervisor's log: it starts the process again by itself. If it does not stay up, the log "
        "of the controller says why: most often the disk of `state`.",
    ),
    Alert(
        "UnderstudyNoRouter",
        "understudy_routers == 0",
        "1m",
        "critical",
        "No router is connected to the controller of {{ $labels.instance }}.",
        "Ask `/readyz` and send a request to `listen`. Without a router nothing is served: see the "
        "supervisor's log for why it cannot start one.",
    ),
    Alert(
        "UnderstudyChallengerEjected",
        _happened("understudy_ejections_total", "", "10m"),
        "0m",
        "warning",
        "{{ $labels.variant }} on {{ $labels.route }} failed in a row and is not asked any more.",
        "Clients had the champion's answers. `understudy explain ROUTE` says whether the rollout "
        "went back; the variant's own log says why it failed.",
    ),
    Alert(
        "UnderstudyRollback",
        _happened("understudy_decisions_total", '{action="rollback"}', "15m"),
        "0m",
        "warning",
        "The challenger of {{ $labels.route }} was taken back.",
        "Nothing has to be done: the champion has all traffic. `understudy report ROUTE` has the "
        "numbers that caused it.",
    ),
    Alert(
        "UnderstudyEvidenceStale",
        "time() - understudy_last_observation_timestamp_seconds > 900 and on (instance, route) "
        'understudy_rollout_phase{phase=~"shadow|canary|watch"} == 1',
        "5m",
        "warning",
        "{{ $labels.route }} has had no new evidence for {{ $value | humanizeDuration }}.",
        "The rollout holds. Is there traffic (`understudy_requests_total`)? Are observations "
        "dropped, or copies not answered? See the checks `fresh` and `delivery`.",
    ),
    Alert(
        "UnderstudyLabelsLate",
        'sum by (instance, route) (rate(understudy_labels_total{result="late"}[1h])) / sum by '
        '(instance, route) (rate(understudy_labels_total{result=~"accepted|late"}[1h])) > 0.1',
        "15m",
        "warning",
        "{{ $value | humanizePercentage }} of the labels of {{ $labels.route }} came too late.",
        "They count for nothing. Make `labels.maturity` as long as your labels take "
        "(docs/labels/maturity.md), or send them sooner.",
    ),
    Alert(
        "UnderstudyMirrorDrops",
        "route:understudy_mirror_dropped:ratio_rate5m > 0.05",
        "10m",
        "warning",
        "{{ $value | humanizePercentage }} of the copies for {{ $labels.route }} were not sent.",
        "Drops are counted by reason in `understudy_mirror_dropped_total`: `queue_full`, `budget` "
        "and `body_too_large` ask for larger limits or a smaller share, `deadline` and "
        "`circuit_open` for a faster challenger.",
    ),
    Alert(
        "UnderstudyObservationsDropped",
        _happened("understudy_observations_dropped_total", "", "10m"),
        "0m",
        "warning",
        "Observations were dropped ({{ $labels.reason }}): evidence is lost.",
        "The controller was away, or slower than the traffic, for longer than the routers' buffers "
        "last. Lost evidence is counted and held against no variant. See UnderstudyDown and the "
        "sizing table.",
    ),
    Alert(
        "UnderstudyOverload",
        "max by (instance, relief) (understudy_overload) > 0",
        "5m",
        "warning",
        "Routers give up {{ $labels.relief }} to keep serving.",
        "Mirrors are given up first, then keep-alive, then new requests. Add processor time, "
        "`workers` or memory (`limits.memory`), or lower the share of the mirror.",
    ),
    Alert(
        "UnderstudyAuditBroken",
        "understudy_audit_verified == 0",
        "0m",
        "critical",
        "The chain of audit records of {{ $labels.instance }} is broken.",
        "Somebody or a disk changed history. Keep a copy of `state` before anything else, then "
        "`understudy audit verify` says where the chain breaks; compare with an exported head.",
    ),
    Alert(
        "UnderstudyAuditUnverified",
        "time() - understudy_audit_verified_timestamp_seconds > 10800",
        "0m",
        "warning",
        "The audit of {{ $labels.instance }} was last verified {{ $value | humanizeDuration }} "
        "ago.",
        "It is walked once an hour. That it is not says that the state cannot be read: see the "
        "controller's log.",
    ),
    Alert(
        "UnderstudyEventsDropped",
        _happened("understudy_events_total", '{result="dropped"}', "15m"),
        "0m",
        "warning",
        "{{ $labels.destination }} was not told of audit records: they grew too old.",
        "The destination of `events:` was away for longer than `retry_for`. The records are in the "
        "audit: `understudy audit export`.",
    ),
    Alert(
        "UnderstudyBreakGlassActive",
        "understudy_break_glass_active == 1",
        "0m",
        "critical",
        "{{ $labels.route }} serves a model that a person put there around the gates.",
        "`understudy report ROUTE` says who and why. End it with `understudy rollback ROUTE`, or "
        "let the model pass its gates.",
    ),
    Alert(
        "UnderstudyCertificateExpires",
        "understudy_certificate_expiry_timestamp_seconds - time() < 14 * 86400",
        "1h",
        "warning",
        "The certificate {{ $labels.certificate }} expires in {{ $value | humanizeDuration }}.",
        "Put new files in the place of the old ones: they are taken within seconds, and "
        "`understudy_certificate_reloads_total` says whether they were.",
    ),
    Alert(
        "UnderstudyCertificateExpiresSoon",
        "understudy_certificate_expiry_timestamp_seconds - time() < 2 * 86400",
        "0m",
        "critical",
        "The certificate {{ $labels.certificate }} expires in {{ $value | humanizeDuration }}.",
        "As UnderstudyCertificateExpires, now.",
    ),
    Alert(
        "UnderstudyConfigReloadFailed",
        "understudy_config_last_reload_successful == 0",
        "1m",
        "warning",
        "The routing file of {{ $labels.instance }} was refused; the one before is in force.",
        "`understudy status` and `understudy check FILE` say what is wrong, with line and column.",
    ),
    Alert(
        "UnderstudyStoreNearlyFull",
        "understudy_store_bytes / understudy_store_limit_bytes > 0.8",
        "10m",
        "warning",
        "The store of {{ $labels.instance }} is {{ $value | humanizePercentage }} full.",
        "At its limit no observation waits for a label any more. Raise `store.size`, shorten "
        "`labels.maturity`, or let answers carry their exposure (`labels.token`).",
    ),
    Alert(
        "UnderstudyStoreNotWritable",
        "understudy_store_writable == 0",
        "1m",
        "critical",
        "Nothing can be made durable on {{ $labels.instance }}.",
        "No label is acknowledged and nothing is promoted; rollbacks still happen. Free the disk "
        "of `state`, or its lock; it recovers by itself.",
    ),
    Alert(
        "UnderstudyDiskNearlyFull",
        "understudy_disk_free_bytes / understudy_disk_size_bytes < 0.1",
        "10m",
        "warning",
        "The disk of the state of {{ $labels.instance }} has {{ $value | humanizePercentage }} "
        "left.",
        "Recordings (`record:`) and the write-ahead log grow there: see "
        "`understudy_recording_bytes` and `understudy_store_log_bytes`.",
    ),
)
