"""One deployment: a flow, its parameters, and the schedule or event that starts it."""

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
"""For runs that a worker starts: Prefect's UI shows this project's log lines too."""


@dataclass(frozen=True)
class Trigger:
    """An event that starts a run.

    Attributes:
        event: its name.
        resource: id of the event's resource.
        description: of the automation.
        parameters: of the run, in addition to the deployment's; may quote the event.
        debounce_seconds: events within this time lead to one run, which starts after it.
    """

    event: str
    resource: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    debounce_seconds: int = 0

    def spec(self) -> dict[str, Any]:
        """Return the trigger as prefect.yaml has it.

        The first event schedules a run; for ``debounce_seconds`` the trigger ignores others. The
        run begins half that time later still, so that no event is lost where clocks differ.
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
    """One flow, and how a server runs it.

    Attributes:
        flow: its name.
        entrypoint: dotted path of the flow's function.
        name: of the deployment.
        description: for the UI.
        parameters: of every run.
        cron: of its schedule; None: there is none.
        timezone: of the cron.
        trigger: the event that starts a run; None: there is none.
        collision: what happens to a second run at the same time.
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
        """Return ``FLOW/NAME``."""
        return f"{self.flow}/{self.name}"

    @property
    def when(self) -> str:
        """Return in words what starts a run."""
        if self.trigger is not None:
            return f"on {self.trigger.event}: {self.trigger.description}"
        return f"at {self.cron} ({self.timezone})" if self.cron else "by hand"

    def spec(self) -> dict[str, Any]:
        """Return the deployment as prefect.yaml has it, without the work pool."""
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
        """Return the deployment as an object of Prefect's; this imports the flow.

        Raises:
            ValueError: the cron or the time zone is invalid.
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
