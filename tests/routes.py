"""Every URL of the project, for the tests that try them all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

# Routes of libraries that take no id of ours, or only a secret that an e-mail carries.
NAMESPACES_OF_OTHERS = ("account_", "mfa_", "socialaccount_", "usersessions_")


@dataclass(frozen=True)
class Route:
    """A URL of the project, its name with namespace and the arguments in it."""

    name: str
    arguments: tuple[str, ...]
    view: Callable[..., Any]

    def url(self, ids: dict[str, Any]) -> str:
        return reverse(self.name, kwargs={name: self._value(name, ids) for name in self.arguments})

    @property
    def capability(self) -> str | None:
        """What the page or API view says one needs to open it."""
        found: str | None = self._said("capability")
        return found

    def capability_to(self, method: str) -> str | None:
        """What the method needs: an API view may ask for more to write than to read."""
        return (self._said("write_capability") if method != "get" else None) or self.capability

    @property
    def staff_only(self) -> bool:
        return bool(self._said("staff_only"))

    def _said(self, name: str) -> Any:
        of_class = getattr(self.view, "cls", getattr(self.view, "view_class", None))
        return getattr(self.view, name, getattr(of_class, name, None))

    def _value(self, name: str, ids: dict[str, Any]) -> Any:
        """An organization's own keys and members have the same argument names as an account's.

        In the API a `key` is an account's, on pages it is that of an event.
        """
        of_staff = {"member_id": "staff_member_id", "key_id": "organization_key_id"}
        of_staff |= {"invitation_id": "staff_invitation_id"}
        if "account_id" not in self.arguments:
            name = of_staff.get(name, name)
        of_events = {"key": "account_key" if "api" in self.name else "event_key", "event_id": "quarantined_id"}
        name = of_events.get(name, name)
        assert name in ids, f"{self.name} takes {name}: add it to World.ids"
        return ids[name]


def _routes(patterns: list[Any], namespace: str = "") -> Iterator[Route]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _routes(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield Route(f"{namespace}{pattern.name}", tuple(pattern.pattern.converters), pattern.callback)


ROUTES = [route for route in _routes(get_resolver().url_patterns) if not route.name.startswith(NAMESPACES_OF_OTHERS)]
