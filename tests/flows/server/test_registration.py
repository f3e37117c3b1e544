"""What a server that cannot be used looks like to whoever registers deployments."""

import httpx
import pytest
from prefect.deployments.runner import DeploymentApplyError

from emi_model.errors import ServerError
from flows.server.registration import server_errors

URL = "http://lab:4200/api"


def refused(code):
    request = httpx.Request("GET", URL)
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(code))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused(401), "answers 401 Unauthorized: set PREFECT_API_AUTH_STRING to what the server"),
        (refused(503), "answers 503 Service Unavailable"),
        (httpx.ConnectError("nobody there"), "Prefect's server is not reached (nobody there)"),
        (httpx.ReadTimeout(""), "Prefect's server is not reached (ReadTimeout): start one"),
        (httpx.InvalidURL("Invalid port: 'x'"), "server is not reached (Invalid port: 'x'): start"),
        (OSError("no route"), "Prefect's server is not reached (no route)"),
        (DeploymentApplyError("a bad cron"), "does not take a deployment: a bad cron"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line(monkeypatch, error, expected):
    monkeypatch.setenv("PREFECT_API_URL", URL)
    with pytest.raises(ServerError) as caught, server_errors():
        raise error
    assert str(caught.value).startswith(URL)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_an_error_of_ours_is_not_the_servers():
    with pytest.raises(ValueError, match="ours"), server_errors():
        raise ValueError("ours")
