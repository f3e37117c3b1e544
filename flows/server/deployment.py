"""One deployment: a flow, and what starts it."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

Collision = Literal["CANCEL_NEW", "ENQUEUE"]

TAG = "emi"

POOL = "emi"
JOB_VARIABLES = {"env": {"PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,emi_model"}}
"""Of runs that a worker starts: what we log is in Prefect's UI too."""


@dataclass(frozen=True)
class Trigger:
    """An event that starts a run.

    Attributes:
        event: its name.
        resource: id of what it is about.
        description: of the automation.
        parameters: of the run, beside the deployment's; may quote the event.
        debounce_seconds: the run starts so long after the event, and takes those between along.
    """

    event: str
    resource: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    debounce_seconds: int = 0

    def spec(self) -> dict[str, Any]:
        """Return it as prefect.yaml says it.

        The first event starts a run that waits; others within the time find the trigger closed. It
        opens again well before the run begins (clocks differ), so that nothing falls in between.
        """
        found: dict[str, Any] = {
            "type": "event",
            "name": f"{TAG}: {self.description}",
            "expect": [self.event],
            "match": {"prefect.resource.id": glob.escape(self.resource)},
        }
        if self.parameters:
            found["parameters"] = dict(self.parameters)
        if self.debounce_seconds:
            found["within"] = self.debounce_seconds
            found["schedule_after"] = self.debounce_seconds * 3 // 2
        return found


@dataclass(frozen=True)
class Deployment:
    """One flow as a server runs it.

    Attributes:
        flow: its name.
        entrypoint: of the flow, by its module.
        name: of the deployment.
        description: for the UI.
        parameters: what the flow is called with.
        cron: when; None: not by the clock.
        timezone: of the cron.
        trigger: the event that starts it, if one does.
        collision: what becomes of a second run at the same time.
    """

    flow: str
    entrypoint: str
    name: str
    description: str
    parameters: Mapping[str, Any]
    cron: str | None = None
    timezone: str = "UTC"
    trigger: Trigger | None = None
    collision: Collision = "ENQUEUE"

    @property
    def full_name(self) -> str:
        """Return its name behind that of its flow."""
        return f"{self.flow}/{self.name}"

    @property
    def when(self) -> str:
        """Say what starts it."""
        if self.trigger is not None:
            return f"on {self.trigger.event}: {self.trigger.description}"
        return f"at {self.cron} ({self.timezone})" if self.cron else "by hand"

    def spec(self) -> dict[str, Any]:
        """Return it as prefect.yaml says it, but for the work pool."""
        found: dict[str, Any] = {
            "name": self.name,
            "entrypoint": self.entrypoint,
            "description": self.description,
            "tags": [TAG],
            "parameters": dict(self.parameters),
            "concurrency_limit": {"limit": 1, "collision_strategy": self.collision},
        }
        if self.cron:
            found["schedules"] = [{"cron": self.cron, "timezone": self.timezone}]
        if self.trigger:
            found["triggers"] = [self.trigger.spec()]
        return found

    def build(self) -> RunnerDeployment:
        """Return it for Prefect's own machinery; the flow is imported.

        Raises:
            ValueError: a cron or a timezone that there is none of.
        """
        from prefect.client.schemas.objects import ConcurrencyLimitConfig
        from prefect.client.schemas.schedules import CronSchedule
        from prefect.deployments.runner import RunnerDeployment
        from prefect.events import DeploymentEventTrigger
        from prefect.flows import load_flow_from_entrypoint
        from prefect.types.entrypoint import EntrypointType

        spec = self.spec()
        return RunnerDeployment.from_flow(
            load_flow_from_entrypoint(self.entrypoint),
            name=self.name,
            description=self.description,
            tags=spec["tags"],
            parameters=spec["parameters"],
            schedules=[CronSchedule(**at) for at in spec.get("schedules", [])],
            triggers=list(map(DeploymentEventTrigger.model_validate, spec.get("triggers", []))),
            concurrency_limit=ConcurrencyLimitConfig(**spec["concurrency_limit"]),
            version=version("emi-workflow"),
            paused=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
