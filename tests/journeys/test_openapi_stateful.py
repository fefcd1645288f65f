"""The API's description holds along a job's life, too: requests are made of what earlier answers gave."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import Config, openapi
from tests.unit.pipeline import ME, Pipeline

from safelight.callers import Scope
from safelight.entrypoints.api import create_app
from safelight.keys import Keys

# Wrong requests are test_openapi.py's; here they would only be in the way of the right ones.
CONFIG = Config.from_dict(
    {"generation": {"mode": "positive"}, "checks": {"positive_data_acceptance": {"enabled": False}}}
)


class Fresh:
    """The application, on a pipeline that every walk gets anew: what one walk made is not there in the next."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget everything."""
        pipeline = Pipeline(auth="apikey")
        _, self.key = Keys(pipeline.ports.records, pipeline.clock).create(name=ME, scopes=tuple(Scope))
        self.given: list[str] = []
        """The ids of jobs that it gave, as its caller has kept them."""
        self._app: Any = create_app(pipeline.service, streaming=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


APP = Fresh()
SCHEMA = openapi.from_asgi("/openapi.json", APP, config=CONFIG).include(path_regex="^/(uploads|jobs)")
WORKFLOW: Any = SCHEMA.as_state_machine()
SEEN: Counter[tuple[str, str]] = Counter()


class Caller(WORKFLOW):  # type: ignore[misc]  # made by a library at run time
    """Somebody with a key, who goes on with what the API answered. Every answer is checked against the description."""

    def setup(self) -> None:
        """Every walk begins with an upload that was asked for, and looked at: left to chance, some runs had few."""
        APP.begin()
        asked = SCHEMA["/uploads"]["POST"].Case(body={"contentType": "image/jpeg"})
        job = asked.call_and_validate(**self.get_call_kwargs(asked)).json()["jobId"]
        APP.given.append(job)
        look = SCHEMA["/jobs/{jobId}"]["GET"].Case(path_parameters={"jobId": job})
        assert look.call_and_validate(**self.get_call_kwargs(look)).json()["jobId"] == job

    def get_call_kwargs(self, case: Any) -> dict[str, Any]:
        return {"headers": {"Authorization": f"Bearer {APP.key}"}}

    def before_call(self, case: Any) -> None:
        # Most ids are made up, for the generator may pass over what a link offers. A caller has little use for those.
        if APP.given and case.path_parameters.get("jobId", APP.given[-1]) not in APP.given:
            case.path_parameters["jobId"] = APP.given[-1]

    def after_call(self, response: Any, case: Any) -> None:
        if (case.method, case.path, response.status_code) == ("POST", "/uploads", 200):
            APP.given.append(response.json()["jobId"])
        SEEN[f"{case.method} {case.path}", f"{response.status_code // 100}xx"] += 1


def test_requests_made_of_earlier_answers(same_examples: None) -> None:
    """Jobs are made, and looked at, canceled, retried and erased by the ids that the API gave; every answer is as
    described."""
    SEEN.clear()
    run_state_machine_as_test(
        Caller,
        settings=settings(
            max_examples=40,
            stateful_step_count=8,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    for call in ("POST /jobs/{jobId}/cancel", "DELETE /jobs/{jobId}"):
        assert SEEN[call, "2xx"], f"{call} never got as far as an answer to a job that there is: {SEEN}"
