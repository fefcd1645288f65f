"""The two journeys: from nothing to a running stack, and back to nothing."""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from safelight.entrypoints.deploy import (
    adoption,
    artifact,
    console,
    material,
    parameters,
    remains,
    removal,
    starting,
)
from safelight.entrypoints.deploy.account import Account, Names
from safelight.entrypoints.deploy.artifact import Target
from safelight.entrypoints.deploy.remains import Remain
from safelight.entrypoints.deploy.stack import NEVER_MADE, STEADY, Change, Progress, Stack
from safelight.entrypoints.deploy.storehouse import Storehouse
from safelight.errors import ConfigurationError, SafelightError

PATIENCE: Final = 90.0
"""Seconds for which one looks again: AWS shows for a while what is gone, and the name of a queue for a minute."""


class Audience(Protocol):
    """Who follows a deployment, and decides."""

    def say(self, line: str) -> None:
        """Something begins or is done."""

    def tell(self, progress: Progress) -> None:
        """Something happened to a resource."""

    def agrees_to(self, changes: list[Change]) -> bool:
        """Whether these changes shall be carried out."""

    def agrees_to_lose(self, found: list[Remain], kept: list[Remain]) -> bool:
        """Whether all of this shall go."""


class Declined(SafelightError):
    """Nothing was changed."""

    code = "declined"


class Deployed(NamedTuple):
    """A stack that runs. `changed` is false if it was so before."""

    outputs: dict[str, str]
    changed: bool


def deploy(account: Account, name: str, given: Mapping[str, str], audience: Audience) -> Deployed:
    """Bring the stack to what this Safelight and these parameters make of it.

    Raise ConfigurationError or StackFailed; then everything is as it was before.
    """
    account_id = account.id
    stack = Stack(account, name)
    _refuse_foreign(stack)
    _refuse_unless_changeable(stack, audience)
    before = stack.parameters()

    def value(parameter: str) -> str:
        return given.get(parameter) or before.get(parameter) or parameters.default(parameter)

    names = Names(value("AppName"), account_id, account.region)
    if before and before.get("AppName") != names.app:
        raise ConfigurationError(
            f"The stack {name} has the AppName {before.get('AppName')}, and names can not change; use another --stack."
        )
    _refuse_old_runtime(account, value("Runtime"))
    storehouse = Storehouse(account, names.bucket("artifacts"), name)
    made_storehouse = not storehouse.exists()
    _refuse_taken(account, stack, names)
    zips = artifact.build_all(Target(value("Runtime"), value("Architecture")), say=audience.say)

    try:
        if made_storehouse:
            storehouse.make()
        size = sum(zipped.path.stat().st_size for zipped in zips.values())
        audience.say(f"Uploading the functions: {size / 1e6:.1f} MB")
        for zipped in zips.values():
            storehouse.keep(zipped.key, zipped.path)
        template = storehouse.keep_template(material.template())
        wanted = {
            **given,
            "AppName": names.app,
            "ArtifactBucket": storehouse.bucket,
            **{parameters.ARTIFACTS[part]: zipped.key for part, zipped in zips.items()},
        }
        if value("Console") != "yes":
            wanted["ConsoleOrigin"] = ""
        done = _change(account, stack, names, template, wanted, audience)
    except BaseException:
        if made_storehouse:
            removal.delete_bucket(account, storehouse.bucket, lambda _line: None)
        raise
    if "ConsoleUrl" not in done.outputs:
        console.remove(account, names, audience.say)
    else:
        console.put(account, done.outputs, audience.say)
        origin = console.origin(done.outputs, value("CorsOrigins"))
        if origin != stack.parameters().get("ConsoleOrigin", ""):
            # Its address is known only now: CloudFormation makes no two things that each need the other first.
            audience.say(f"Letting pages of {origin or 'no further origin'} use the API")
            wanted["ConsoleOrigin"] = origin
            done = _change(account, stack, names, template, wanted, audience, agreed=True)
    if done.changed:
        starting.start_all(account, names, audience.say)
    return done


def _change(
    account: Account,
    stack: Stack,
    names: Names,
    template: str,
    wanted: Mapping[str, str],
    audience: Audience,
    *,
    agreed: bool = False,
) -> Deployed:
    new = stack.status is None
    known = stack.parameters()
    released = parameters.release(material.template(), {**known, **wanted})
    wanted = {**wanted, "Release": released}
    try:
        if new:
            console.make_room(account, names, audience.say)
        if new and (found := adoption.left_behind(account, names)):
            _adopt(stack, found, wanted, audience)
        kind = "CREATE" if stack.status is None else "UPDATE"
        known = stack.parameters()
        change_set = stack.prepare(kind, parameters=_parameters(wanted, known), TemplateURL=template)
        if change_set is None:
            return Deployed(stack.outputs(), changed=False)
        if not agreed:
            _agree(stack, change_set, audience)
        stack.carry_out(change_set, audience.tell)
    except BaseException:
        if new and stack.status is not None:
            audience.say("Removing what was made")
            stack.delete(audience.tell)
        raise
    return Deployed(stack.outputs(), changed=True)


def _agree(stack: Stack, change_set: str, audience: Audience) -> None:
    """Raise Declined if the audience does not agree, and leave no change set behind."""
    try:
        if not audience.agrees_to(stack.changes(change_set)):
            raise Declined
    except BaseException:
        stack.discard(change_set)
        raise


def _adopt(
    stack: Stack, found: dict[str, dict[str, str]], wanted: Mapping[str, str], audience: Audience
) -> None:
    listed = ", ".join(name for identifier in found.values() for name in identifier.values())
    audience.say(f"Taking in what an earlier stack has left: {listed}")
    change_set = stack.prepare("IMPORT", parameters=_parameters(wanted, {}), **adoption.importing(found))
    assert change_set is not None, "an import always changes something"
    stack.carry_out(change_set, audience.tell)


def _parameters(wanted: Mapping[str, str], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """What was given, then what the stack has; the template's defaults fill in the rest."""
    declared = material.load_template()["Parameters"]
    kept = [name for name in known if name in declared and name not in wanted]
    return [
        *({"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()),
        *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
    ]


def _refuse_unless_changeable(stack: Stack, audience: Audience) -> None:
    status = stack.status
    if status is None or status in STEADY:
        return
    if status in NEVER_MADE:
        audience.say(f"Removing what a failed creation of {stack.name} has left")
        if stack.delete(audience.tell) is None:
            return
    if status.endswith("_IN_PROGRESS"):
        raise ConfigurationError(
            f"The stack {stack.name} is being changed ({status}); wait for its end and try again."
        )
    raise ConfigurationError(
        f"The stack {stack.name} is {status} and can not be changed; `safelight destroy --stack {stack.name} "
        "--keep-data` removes it and leaves the data, which the next deploy takes in."
    )


def _refuse_foreign(stack: Stack) -> None:
    """Raise ConfigurationError if a stack of that name is there and is not Safelight's."""
    if stack.status is not None and "AppName" not in stack.parameters():
        raise ConfigurationError(f"The stack {stack.name} is not Safelight's; choose another --stack.")


def _refuse_old_runtime(account: Account, runtime: str) -> None:
    """Raise ConfigurationError where the codecs can not run: they need glibc 2.28, Lambda's python3.11 has 2.26."""
    if runtime == "python3.11" and account.is_aws:
        raise ConfigurationError(
            "Lambda's python3.11 is too old for the codecs; give --parameter Runtime=python3.12, or a later one."
        )


def _refuse_taken(account: Account, stack: Stack, names: Names) -> None:
    """Raise ConfigurationError if the names belong to another stack that is there."""
    owner = remains.owner_of(account, names.bucket("artifacts"))
    if owner not in (None, stack.name) and Stack(account, str(owner)).status is not None:
        raise ConfigurationError(
            f"The AppName {names.app} belongs to the stack {owner}; give --parameter AppName=… for a second one."
        )


# --- and back ---------------------------------------------------------------------------------------------


def names_of(account: Account, stack: Stack) -> Names:
    """The names of a stack, also of one that CloudFormation has forgotten."""
    app = (
        stack.parameters().get("AppName")
        or remains.app_of(account, stack.name)
        or parameters.default("AppName")
    )
    return Names(app, account.id, account.region)


def destroy(account: Account, name: str, audience: Audience, *, keep_data: bool) -> list[Remain]:
    """Remove the stack, its data unless they are to be kept, and its artifacts. Return what is left and should not be.

    Raise Declined, ConfigurationError. Doing it twice is harmless.
    """
    stack = Stack(account, name)
    _refuse_foreign(stack)
    names = names_of(account, stack)
    _refuse_others(account, stack, names)
    found = remains.look(account, names, name)
    data = {*names.data_buckets, *names.tables} if keep_data else set()
    kept = [each for each in found if each.name in data]
    doomed = [each for each in found if each.name not in data]
    if not doomed:
        return []
    if not audience.agrees_to_lose(doomed, kept):
        raise Declined
    removal.delete_stack(stack, audience.say, audience.tell)
    if not keep_data:
        removal.delete_data(account, names, found, audience.say)
    return _last_looks(account, names, name, data, audience)


def _last_looks(
    account: Account, names: Names, stack: str, data: set[str], audience: Audience
) -> list[Remain]:
    """Remove what no stack removes, and look until nothing is left twice in a row, or patience ends.

    Twice, because a service may make the log group of a function that was still running anew, for its last lines. AWS
    does not: the functions may not make log groups.
    """
    end, clean = time.monotonic() + PATIENCE, 0
    while True:
        left = [each for each in remains.look(account, names, stack) if each.name not in data]
        _remove(account, names, left, audience)
        clean = 0 if left else clean + 1
        if clean == 2 or time.monotonic() > end:
            return left
        time.sleep(1.0)


def _remove(account: Account, names: Names, left: list[Remain], audience: Audience) -> None:
    """Remove the artifacts, the console's pages and logs among what is left."""
    for each in left:
        if each.name in (names.bucket("artifacts"), names.console_bucket):
            removal.delete_bucket(account, each.name, audience.say)
        elif each.kind == "log group":
            removal.delete_log_group(account, each.name, audience.say)


def _refuse_others(account: Account, stack: Stack, names: Names) -> None:
    """Raise ConfigurationError if there is no such stack, and what is there under its names is another's."""
    if stack.status is not None:
        return
    for bucket in (names.bucket("artifacts"), *names.data_buckets):
        owner = remains.owner_of(account, bucket)
        if owner not in (None, stack.name):
            raise ConfigurationError(
                f"There is no stack {stack.name}; what is called {names.app} belongs to {owner}."
            )
