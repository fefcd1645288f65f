"""Who calls, and what that allows."""

from enum import StrEnum
from typing import Final

from safelight.model import Value


class Scope(StrEnum):
    """What a key or a token allows."""

    UPLOAD = "upload"
    """Make jobs; cancel, retry and erase them."""

    READ = "read"
    """Look at jobs and recipes."""

    ADMIN = "admin"
    """Everything, with the jobs of every owner."""


class Caller(Value, frozen=True):
    """Who makes a request: the owner of the jobs it makes, and what it may do."""

    owner: str
    scopes: frozenset[Scope] = frozenset()

    def may(self, scope: Scope) -> bool:
        """Whether the caller has the scope."""
        return scope in self.scopes or self.admin

    @property
    def admin(self) -> bool:
        """Whether the caller may do everything, with everybody's jobs."""
        return Scope.ADMIN in self.scopes


NOBODY_ELSE: Final = Caller(owner="local", scopes=frozenset({Scope.UPLOAD, Scope.READ}))
"""The one caller of an installation that asks for no key: its network protects it."""
