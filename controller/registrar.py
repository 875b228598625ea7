"""The registry as the controller uses it: registers, and knows what each challenger claims to be.

One thread; made and used by the Controller.
"""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller import registry, store
from controller.clock import Clock
from controller.deployment import Deployment, deployments, resolve
from controller.lineage import ModelVersion, ancestors
from controller.modeljson import line_json, model_json
from controller.mover import Mover
from controller.policy import Intent, MlflowSpec, RegistrySpec, RouteIntent
from controller.proof import (
    Claim,
    Proof,
    Proofs,
    ProofTask,
    worst,
)
from controller.registry import Registered, RegistrationRefused
from controller.rollout import BEFORE_TRAFFIC, OBSERVED, Rollout
from controller.signature import SignatureFault, read_keys, verify
from controller.store import RouteState
from evaluator.evidence import CheckState, Reading

PROVEN_IN = BEFORE_TRAFFIC | OBSERVED
"""Phases in which it matters what runs."""


class UnknownModel(Exception):
    """There is no such version."""

    status_hint = 404


class Registrar:
    """Owns what is proven; the rows are in the store."""

    def __init__(self, connection: sqlite3.Connection, mover: Mover, clock: Clock) -> None:
        self._connection = connection
        self._mover = mover
        self._clock = clock
        self._proofs = Proofs()
        self._found: dict[str, ModelVersion] = {}
        """Versions that were asked for: they never change."""

    def register(self, model: ModelVersion) -> Registered:
        """Write a version, signed as the routing file asks for; RegistrationRefused, StoreError."""
        model = replace(model, at_ns=self._clock.wall_ns())
        keys = self._spec.keys
        if keys:
            try:
                verify(model, read_keys(Path(keys)))
            except SignatureFault as error:
                registry.refuse(self._connection, model, str(error), self._mover.digest)
                raise RegistrationRefused(str(error)) from error
        return registry.register(self._connection, model, self._mover.digest)

    def find(self, ref: str) -> ModelVersion | None:
        """Return the version NAME:VERSION; None if it is not registered."""
        found = self._found.get(ref)
        if found is None:
            with store.reading():
                found = registry.find(self._connection, ref)
            if found is not None:
                self._found[ref] = found
        return found

    def remember(self, intent: Intent) -> None:
        """Note which variants run which versions; StoreError when that cannot be written."""
        links = [
            (route.name, variant, model)
            for route in intent.routes
            for variant, model in route.models
        ]
        with store.reading():
            known = registry.deployed(self._connection)
        if any(known.get((route, variant)) != model for route, variant, model in links):
            with store.transaction(self._connection):
                registry.deploy(self._connection, links)

    def model_of(self, route: RouteIntent, variant: str) -> ModelVersion | None:
        """Return the registered version of a variant; None if it names none, or it is not there."""
        ref = dict(route.models).get(variant)
        return None if ref is None else self.find(ref)

    def tasks(self) -> list[ProofTask]:
        """Return what is to be looked at now; the answer of each goes to ``take``.

        What is being looked at is in it again: whoever looks knows what is under way.
        """
        tasks = []
        now_s = self._clock.monotonic_s()
        for state, rollout in self._mover.rollouts(PROVEN_IN):
            route = self._mover.serving().get(state.name)
            variants = {v.name: v for v in route.challengers} if route is not None else {}
            if route is None or rollout.challenger not in variants:
                continue  # it is on its way out
            variant, claim = variants[rollout.challenger], self.claim(state, rollout)
            task = self._proofs.task(route, rollout, variant, claim, now_s=now_s)
            if task is not None:
                tasks.append(task)
        return tasks

    def take(self, proof: Proof) -> None:
        """Take in what was found."""
        state = self._mover.states.get(proof.task.route)
        rollout = None if state is None else state.rollout
        self._proofs.take(proof, rollout, now_s=self._clock.monotonic_s())

    def readings(self, state: RouteState, rollout: Rollout) -> tuple[Reading, ...]:
        """Return what is proven of the challenger now, as readings of its stage."""
        if rollout.phase not in PROVEN_IN:
            return ()
        claim, now_s = self.claim(state, rollout), self._clock.monotonic_s()
        return self._proofs.readings(state.name, rollout, claim, now_s=now_s)

    def mismatch(self, state: RouteState, rollout: Rollout) -> str:
        """Say what runs that was not registered; empty while nothing speaks for it."""
        reading = worst(self.readings(state, rollout))
        is_other = reading is not None and reading.state is CheckState.TRIPPED
        return f"{reading.check}: {reading.because}" if reading and is_other else ""

    def missing(self, state: RouteState, rollout: Rollout) -> str:
        """Say what is not proven, so that the stage may not be left; empty if all is."""
        reading = worst(self.readings(state, rollout))
        return f"{reading.check}: {reading.because}" if reading is not None else ""

    def may_promote(self, state: RouteState, rollout: Rollout) -> bool:
        """Whether the files were verified just now; if not, they will be: ask again."""
        claim, now_s = self.claim(state, rollout), self._clock.monotonic_s()
        return self._proofs.may_promote(state.name, rollout, claim, now_s=now_s)

    def claim(self, state: RouteState, rollout: Rollout) -> Claim:
        """Return what the challenger is said to be, by the file that its rollout began under."""
        policy = state.policy or self._mover.serving()[state.name]
        ref = dict(policy.models).get(rollout.challenger)
        model = None if ref is None else self.find(ref)
        return Claim(ref, model, self._spec, policy.reports)

    def account(self, state: RouteState) -> tuple[str | None, dict[str, Any]]:
        """Return the digest of the challenger's artifact, and what is proven of it."""
        rollout = state.rollout
        if rollout is None:
            return None, {}
        claim = self.claim(state, rollout)
        if claim.ref is None:
            return None, {}
        readings = self.readings(state, rollout)
        champion = self._champion(state, rollout)
        proven: dict[str, Any] = {
            "model": claim.ref,
            "source": claim.model.source if claim.model else None,
            "champion": str(champion.ref) if champion else None,
            "champion_source": champion.source if champion else None,
        }
        proven["proofs"] = [
            {"check": r.check, "state": r.state.value, "because": r.because} for r in readings
        ]
        return (claim.model.artifact.digest if claim.model else None), {"registry": proven}

    def registered_by(self, state: RouteState) -> str:
        """Return who registered the present challenger; empty if nobody did."""
        if state.rollout is None:
            return ""
        model = self.claim(state, state.rollout).model
        return "" if model is None else model.by

    def _champion(self, state: RouteState, rollout: Rollout) -> ModelVersion | None:
        """Return whom the challenger is compared with, as it is registered; None if it is not."""
        policy = state.policy or self._mover.serving()[state.name]
        return self.model_of(policy, rollout.champion)

    @property
    def mlflow(self) -> MlflowSpec | None:
        """Return the MLflow registry that is to be told; None if none is."""
        return self._spec.mlflow

    def deployments(self) -> list[Deployment]:
        """Return where each version stands, on each route."""
        with store.reading():
            links = registry.deployed(self._connection)
        return deployments(self._mover.states, links)

    def overview(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return every version (of one name) with its stage and aliases, the oldest first."""
        found = self.deployments()
        with store.reading():
            models = registry.models(self._connection, name=name)
        return [model_json(model, found) for model in models]

    def describe(self, text: str) -> dict[str, Any]:
        """Return NAME:VERSION or NAME@ALIAS whole, with its line of descent; UnknownModel."""
        found = self.deployments()
        ref = resolve(text, found)
        if ref is None:
            raise UnknownModel(f"no single version is {text}")
        model = self.find(ref)
        if model is None:
            raise UnknownModel(f"there is no version {ref}")
        line = line_json(ancestors(model, self.find))
        return model_json(model, found, is_whole=True) | {"line": line}

    @property
    def _spec(self) -> RegistrySpec:
        intent = self._mover.intent
        return intent.registry if intent is not None else RegistrySpec()
