"""A site's deployments on a Prefect server: register them, and clean up after earlier processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments.runner import DeploymentApplyError
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Crashed

from emi_model.errors import ServerError
from flows.server.deployment import JOB_VARIABLES, TAG
from flows.server.deployments import Setup, deployments
from flows.server.events import PASSWORD, api_url

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse

TAGGED = DeploymentFilter.model_validate({"tags": {"all_": [TAG]}})


def register_deployments(setup: Setup, pool: str) -> list[str]:
    """Register a site's deployments on the server of ``PREFECT_API_URL``, for workers.

    Args:
        setup: of the site.
        pool: the work pool; if there is none of this name, one for processes is made.

    Returns:
        The deployments' names, as ``FLOW/NAME``.

    Raises:
        ServerError: the server cannot be reached, or refuses them.
    """
    # Prefect reads the environment only when it is imported, which may have happened before
    settings = {PREFECT_API_URL: api_url(), PREFECT_API_AUTH_STRING: os.environ.get(PASSWORD)}
    with server_errors(), temporary_settings(settings):
        return asyncio.run(_register(setup, pool))


@contextmanager
def server_errors() -> Iterator[None]:
    """Turn a server's error answers, and failures to reach it, into a ServerError."""
    url = api_url()
    try:
        yield
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        todo = ": set PREFECT_API_AUTH_STRING to what the server has" if code in (401, 403) else ""
        raise ServerError(f"{url} answers {code} {error.response.reason_phrase}{todo}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        cause = str(error) or type(error).__name__
        raise ServerError(
            f"{url}: Prefect's server is not reached ({cause}): start one with `emi up` or "
            "`prefect server start`, or name another with PREFECT_API_URL"
        ) from error
    except DeploymentApplyError as error:
        raise ServerError(f"{url} does not take a deployment: {error}") from error


async def tidy_up(client: PrefectClient, served: Collection[str]) -> list[FlowRun]:
    """Remove from a server what an earlier process left, so that this process can serve there.

    Overdue scheduled scans are deleted, not caught up on. Deployments that are no longer served are
    deleted. Runs whose process is gone are marked as crashed. What workers run is not touched.

    Args:
        client: of a server that no other process serves deployments on.
        served: names of the deployments, as ``FLOW/NAME``.

    Returns:
        The runs that were marked as crashed.
    """
    left = await under_way(client)
    for run in left:
        await client.set_flow_run_state(run.id, Crashed(message="its process is gone"))
    existing = await _served(client)
    for deployment in existing:
        if await _full_name(client, deployment) in served:
            await client.pause_deployment(deployment.id)  # deletes scheduled runs, except late ones
        else:
            await client.delete_deployment(deployment.id)
    for run in await _runs(client, existing, StateType.SCHEDULED):
        if run.auto_scheduled:
            await client.delete_flow_run(run.id)
    return left


async def under_way(client: PrefectClient) -> list[FlowRun]:
    """Return the runs of served deployments that have begun and have not ended."""
    types = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
    return await _runs(client, await _served(client), *types)


async def begin_again(client: PrefectClient, runs: Sequence[FlowRun], names: set[str]) -> None:
    """Schedule runs again that an event had started, as the event does not come again.

    Args:
        client: of the server.
        runs: that did not end in order; those that a user was cancelling are left out.
        names: of the deployments that events start, as ``FLOW/NAME``.
    """
    for run in runs:
        if run.deployment_id is None or run.state_type == StateType.CANCELLING:
            continue
        try:
            deployment = await client.read_deployment(run.deployment_id)
        except ObjectNotFound:
            continue
        if await _full_name(client, deployment) in names:
            await client.create_flow_run_from_deployment(deployment.id, parameters=run.parameters)


async def _register(setup: Setup, pool: str) -> list[str]:
    async with get_client() as client:
        await _make_pool(client, pool)
        names = []
        for deployment in deployments(setup):
            built = deployment.build()
            built.job_variables = dict(JOB_VARIABLES)
            await built.aapply(work_pool_name=pool)
            names.append(built.full_name)
        await _remove_unused(client, setup, names)
    return names


async def _make_pool(client: PrefectClient, pool: str) -> None:
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    try:
        await client.create_work_pool(
            WorkPoolCreate(name=pool, type=ProcessWorker.type, base_job_template=template)
        )
    except ObjectAlreadyExists:
        return


async def _remove_unused(client: PrefectClient, setup: Setup, names: Sequence[str]) -> None:
    """Remove the watch if an earlier registration of this site had one and this one has none."""
    everything = deployments(replace(setup, watch_corpus=True))
    possible = {deployment.build().full_name for deployment in everything}
    for name in possible - set(names):
        try:
            unused = await client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
        await client.delete_deployment(unused.id)


async def _served(client: PrefectClient) -> list[DeploymentResponse]:
    """Return this project's deployments that no worker runs."""
    tagged = await client.read_deployments(deployment_filter=TAGGED)
    return [deployment for deployment in tagged if deployment.work_pool_name is None]


async def _runs(
    client: PrefectClient, of: Sequence[DeploymentResponse], *types: StateType
) -> list[FlowRun]:
    if not of:
        return []
    state = {"type": {"any_": types}}
    wanted = {"deployment_id": {"any_": [deployment.id for deployment in of]}, "state": state}
    return await client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))


async def _full_name(client: PrefectClient, deployment: DeploymentResponse) -> str:
    flow = await client.read_flow(deployment.flow_id)
    return f"{flow.name}/{deployment.name}"
