"""The checks and the monitors of one experiment, side by side. Pure."""

from evaluator import wanted
from evaluator.check import make, saved
from evaluator.delivery import Delivery
from evaluator.evidence import Reading
from evaluator.forecast import ForecastMonitor
from evaluator.health import HealthMonitor, HealthState
from evaluator.integrity import Integrity
from evaluator.join import Judgable, Mode
from evaluator.kind import Check, How
from evaluator.memory import State
from evaluator.metric import ExperimentPlan, MetricSpec, alpha_of
from evaluator.monitor import Monitor
from evaluator.reading import harm_reading, harm_weights, metric_reading


class Panel:
    """All that is looked at to judge one challenger. Owned by one evaluator, and made with what
    it remembers."""

    def __init__(self, plan: ExperimentPlan, state: State) -> None:
        """msgspec.MsgspecError if a check's state is of another form."""
        self._plan = plan
        self._weights = harm_weights(plan.metrics)
        self.checks: dict[str, Check] = {
            spec.name: make(spec, _how(plan, spec), state.checks.get(spec.name))
            for spec in plan.metrics
        }
        self.integrity = Integrity(plan, state.integrity)
        self.delivery = Delivery(plan, state.delivery)
        self.monitor = Monitor(plan.alarm_every, state.monitor)
        self.champion_health = _health(plan, state.champion_health)
        self.challenger_health = _health(plan, state.challenger_health)
        is_forecast = not (plan.is_held_back or plan.clustered)
        self.forecast = ForecastMonitor(
            plan.metrics if is_forecast else (), plan.alarm_every, state.forecast
        )

    def answered(self, is_challenger: bool, is_failed: bool) -> None:
        """Hold one answer of a variant against the service limit, if there is one."""
        health = self.challenger_health if is_challenger else self.champion_health
        if health is not None:
            health.observe(is_failed)

    def roll(self) -> None:
        """Begin the next epoch."""
        for check in self.checks.values():
            check.roll()
        self.monitor.roll()

    def watch(self) -> None:
        """Begin to look for a late turn for the worse.

        Not where units send many requests: what a detector promises needs a lot for each request.
        """
        if self._plan.is_held_back and not self._plan.clustered:
            self.monitor.begin(self._plan.metrics)
        self.forecast.begin()

    def watch_label(self, judgable: Judgable, label: str) -> None:
        """Show the monitors whether an answer was right."""
        is_new = judgable.mode is Mode.WATCH
        one = judgable.challenger if judgable.is_challenger or is_new else judgable.champion
        if one is None or one.is_cut:
            return
        is_good = not one.is_failed and one.prediction == label
        if judgable.mode is Mode.SPLIT:
            self.monitor.observe("correct", judgable.propensity, judgable.is_challenger, is_good)
        if is_new:
            self.forecast.observe("correct", judgable.at_ns, is_good)
        elif not judgable.is_challenger:
            self.forecast.learn("correct", judgable.at_ns, is_good)

    def readings(self, *, is_read: bool) -> tuple[Reading, ...]:
        """Return what all of them say; ``is_read``: a metric reads the prediction."""
        findings = {name: check.finding() for name, check in self.checks.items()}
        readings = [
            metric_reading(check.spec, findings[name], self._plan, self._weights[name])
            for name, check in self.checks.items()
        ]
        readings.append(harm_reading(findings, self._weights, self._plan))
        readings.append(self.integrity.srm_reading())
        readings.append(self.integrity.readable_reading(is_needed=is_read))
        readings.append(self.delivery.reading())
        watched = self.monitor.reading() or self.forecast.reading()
        if watched is not None:
            readings.append(watched)
        return tuple(readings)

    def saved(self) -> dict[str, bytes]:
        """Return the state of every check; the others' lie in the evaluator's own."""
        return {name: saved(check) for name, check in self.checks.items()}

    def merge(self, other: "Panel") -> None:
        """Add what another one of the same plan and epochs has seen of other requests."""
        for name, check in self.checks.items():
            check.merge(other.checks[name])
        self.integrity.merge(other.integrity)
        self.delivery.merge(other.delivery)
        self.monitor.merge(other.monitor)
        self.forecast.merge(other.forecast)


def _health(plan: ExperimentPlan, state: HealthState) -> HealthMonitor | None:
    return None if plan.max_failed is None else HealthMonitor(plan.max_failed, state)


def _how(plan: ExperimentPlan, spec: MetricSpec) -> How:
    return How(
        alpha_of(plan, spec),
        plan.clustered,
        plan.label_rate,
        plan.prediction,
        plan.experiment,
        plan.labels_wanted == wanted.DISAGREEMENTS,
    )
