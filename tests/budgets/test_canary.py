"""What is the vendor's alone never reaches a customer: planted numbers and words are looked for in every answer.

Vendor costs and what follows from them, notes on contracts, drafts of prices and their notes, and why a version was
withdrawn are planted; then every route is asked by every role of a customer and by its key, as a page and as a
fragment. The same search over what staff may open must find them, so that it would notice.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import PORTAL_ROLES, Role
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import enter, leave
from tests.budgets.ledger_factories import make_contract
from tests.factories import make_cost, make_draft, make_usage_day, signed_in, staff_of
from tests.routes import ROUTES, Route
from tests.world import World, make_world
from usage.models import Price, RateCardVersion

pytestmark = pytest.mark.django_db
D = Decimal

COSTS = {"everybody’s": D("7341.26"), "the account’s": D("6193.58"), "the workflow’s": D("5827.94")}
DRAFT_PRICE, OWN_DRAFT_PRICE = D("4736.89"), D("3918.65")
CONTRACT_NOTE, DRAFT_NOTE = "QQ-contract-note", "QQ-draft-note"
VERSION_NOTE, WITHDRAWN_REASON = "QQ-version-note", "QQ-withdrawn-reason"
QUANTITY = D(3)  # so that the cost of the day is another number to look for
SPEND = D("90000.01")


@dataclass(frozen=True)
class Planted:
    """A secret and every way in which it could be written."""

    name: str
    spellings: tuple[str, ...]

    def found_in(self, text: str) -> str | None:
        return next((spelling for spelling in self.spellings if spelling in text), None)


def amount(name: str, value: Decimal) -> Planted:
    """The number plain, with thousands in several ways, in cents, and as a part of an exponent."""
    plain = f"{value:.2f}"
    whole, cents = plain.lstrip("-").split(".")
    spelled = {f"{whole}.{cents}", f"{whole},{cents}", f"{whole}{cents}"}
    grouped = f"{int(whole):,}"
    for mark in (",", ".", " ", "\u00a0", "\u202f", "’", "'", "_"):
        for point in (".", ","):
            if mark != point:
                spelled.add(f"{grouped.replace(',', mark)}{point}{cents}")
    return Planted(name, tuple(sorted(spelled)))


SECRETS = [
    *(amount(f"{name} vendor cost", value) for name, value in COSTS.items()),
    amount("cost of the use", COSTS["the workflow’s"] * QUANTITY),
    amount("what is left", SPEND - COSTS["the workflow’s"] * QUANTITY),
    amount("price of a draft", DRAFT_PRICE),
    amount("price of the account’s own draft", OWN_DRAFT_PRICE),
    *(Planted(text, (text,)) for text in (CONTRACT_NOTE, DRAFT_NOTE, VERSION_NOTE, WITHDRAWN_REASON)),
]


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def world(now: datetime) -> World:
    made = make_world(now)
    own = made.accounts[0]
    account, flow = own.account, own.workflow
    make_cost(made.meter, str(COSTS["everybody’s"]), effective_on=add_months(now.date(), -3))
    make_cost(made.meter, str(COSTS["the account’s"]), account)
    make_cost(made.meter, str(COSTS["the workflow’s"]), account, flow)
    other = make_usage_day(account, made.meter, add_months(now.date(), -2), flow, quantity=QUANTITY, spend=SPEND)
    make_contract(account, name="Order form 1", note=CONTRACT_NOTE)
    enter(staff_of(made.organization))
    Price.objects.filter(version=made.draft).update(terms={"model": "unit", "params": {"unit": str(DRAFT_PRICE)}})
    RateCardVersion.objects.filter(pk=made.draft.pk).update(note=DRAFT_NOTE)
    make_draft(made.meter, str(OWN_DRAFT_PRICE), account)
    RateCardVersion.objects.filter(pk__in=[made.price.version_id, own.price.version_id]).update(
        note=VERSION_NOTE, withdrawn_reason=WITHDRAWN_REASON, withdrawn_at=now
    )
    assert other.spend == SPEND
    leave()
    return made


def routes() -> list[Route]:
    """Those that this project answers itself, without signing out."""
    return [route for route in ROUTES if route.name not in ("account_logout", "accounts:sign_out_everywhere")]


def text_of(response: Any) -> str:
    """All text of an answer, headers too; packed files are opened."""
    body = b"".join(response) if response.streaming else response.content
    parts = [str(dict(response.items())).encode(), body]
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            parts += [packed.read(name) for name in packed.namelist()]
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", body, re.DOTALL) if body[:4] == b"%PDF" else ():
        try:
            parts.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return "\n".join(part.decode(errors="replace") for part in parts)


def answers(
    client: Client, world: World, now: datetime, headers: dict[str, str], only: str = ""
) -> Iterator[tuple[str, str]]:
    """Every route by GET; what answers with a page also as a fragment, and for the day and month that was planted."""
    day = add_months(now.date(), -2)
    asked = (f"?month={day:%Y-%m}&from={day:%Y-%m}&day={day}", f"?from={day}&to={now.date()}&group_by=workflow")
    for route in (route for route in routes() if route.name.startswith(only)):
        url = route.url(world.ids())
        first = client.get(url, headers=headers)
        yield route.name, text_of(first)
        if first.status_code != 200:
            continue
        for query in asked:
            yield f"{route.name}{query}", text_of(client.get(url + query, headers=headers))
        if not headers:
            yield f"{route.name} as a fragment", text_of(client.get(url, headers={"HX-Request": "true"}))


def leaks(
    client: Client, world: World, now: datetime, headers: dict[str, str] | None = None, only: str = ""
) -> dict[str, set[str]]:
    """Which secrets stand in which answers."""
    found: dict[str, set[str]] = {}
    for where, text in answers(client, world, now, headers or {}, only):
        for secret in SECRETS:
            if secret.found_in(text):
                found.setdefault(secret.name, set()).add(where)
    return found


@pytest.mark.parametrize("role", PORTAL_ROLES)
def test_nothing_of_the_vendors_own_reaches_a_customer(role: str, world: World, now: datetime) -> None:
    assert leaks(signed_in(world.accounts[0].members[role]), world, now) == {}


def test_nothing_of_it_reaches_the_key_of_an_account(world: World, now: datetime) -> None:
    headers = {"Authorization": f"Bearer {world.accounts[0].secret}"}
    assert leaks(Client(), world, now, headers) == {}


def test_vendor_costs_do_not_reach_a_key_that_only_reads(world: World, now: datetime) -> None:
    found = leaks(Client(), world, now, {"Authorization": f"Bearer {world.secret}"})
    assert {name for name in found if "cost" in name or "left" in name} == set()


@pytest.mark.parametrize("role", [Role.ADMIN, Role.FINANCE, Role.LEADER])
def test_those_who_may_see_margins_see_what_was_planted(role: str, world: World, now: datetime) -> None:
    found = leaks(signed_in(world.staff[role]), world, now, only="budgets:")
    for secret in SECRETS[:5]:
        assert found.get(secret.name), f"{role} sees nothing of {secret.name}: would the search notice it?"


def test_the_search_notices_every_kind_of_secret(world: World, now: datetime) -> None:
    client = signed_in(world.staff[Role.ADMIN])
    found = set(leaks(client, world, now))
    enter(staff_of(world.organization))
    own = RateCardVersion.objects.get(account=world.accounts[0].account, status=RateCardVersion.Status.DRAFT)
    shown = text_of(client.get(reverse("usage:rate_card_version", args=[own.pk])))
    found |= {secret.name for secret in SECRETS if secret.found_in(shown)}
    assert {secret.name for secret in SECRETS} - found == set()


@pytest.mark.parametrize(
    "text", ["$7,341.26", "7341.260000", "7 341,26 €", "CHF 7’341.26", '{"cents": 734126}', "=7341.26*2"]
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert SECRETS[0].found_in(text)
