"""`manage.py seed_demo`: eighteen months of the demo's stories, through the same door as any customer's events."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.timezone import now as read_clock

from accounts.models import Organization
from budgets.actions.catch_up import catch_up
from budgets.actions.detect import detect
from budgets.actions.forecast import refresh
from budgets.actions.verify import verify_nightly
from reviews.demo.alert_stories import load_alert_stories
from reviews.demo.alerts import load_budgets, replayed_moments
from reviews.demo.forecasts import load_forecasts, rebuild_forecasts
from reviews.demo.later import corrected_events, load_later
from reviews.demo.load import (
    events_between,
    finance_of,
    in_batches,
    load_people,
    load_vendor,
    missing_events,
    story_day,
)
from reviews.demo.load_book import load_book
from reviews.demo.load_value import load_value
from reviews.demo.people import PASSWORD, PEOPLE
from reviews.demo.stories import VENDORS, Vendor
from usage.actions.accept import Sender, accept_events
from usage.calc.cloudevents import Window
from usage.calc.parsing import parse_items

BEGINNING = datetime(2000, 1, 1, tzinfo=timezone.utc)


class Command(BaseCommand):
    help = "Load the demo, or bring it up to now. Safe to repeat: what is there is not sent twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--logins", type=Path, default=Path(settings.BASE_DIR, ".demo", "logins.json"))

    def handle(self, *args: Any, logins: Path, **options: Any) -> None:
        now = read_clock()
        people = load_people()
        for vendor in VENDORS:
            organization = load_vendor(vendor, people, now)
            told_from = story_day(organization)
            moments = replayed_moments(organization, told_from, now)
            first = moments[0] if moments else now
            known = chain.from_iterable(missing_events(organization, story, first) for story in vendor.stories)
            sent = self._send_all(organization, known, first)
            _settle(organization, first)
            if moments:
                sent += self._replay(organization, vendor, moments)
            if vendor.key == VENDORS[0].key:
                self._send(organization, list(corrected_events(told_from)), now)
            load_later(finance_of(organization, people), organization, told_from, now)
            _settle(organization, now)
            verify_nightly(organization.pk, now)
            load_forecasts(organization, told_from, now)
            refresh(organization.pk, read_clock())  # later than what was just planned
            _settle(organization, read_clock())  # looks at the budgets
            load_alert_stories(organization, read_clock())
            load_book(organization, people, told_from, read_clock())
            load_value(organization, people, told_from, read_clock())
            self.stdout.write(f"  {vendor.name}: {sent:,} events stored and settled")
        _write_logins(logins)

    def _replay(self, organization: Organization, vendor: Vendor, moments: list[datetime]) -> int:
        """Let the last weeks pass as they did: what comes in is settled, budgets and detectors look at it."""
        told_from, now = story_day(organization), moments[-1]
        rebuild_forecasts(organization, now, None, moments[0])
        load_budgets(organization, told_from, moments[0])
        sent = 0
        for since, until in pairwise(moments):
            new = chain.from_iterable(events_between(story, told_from, since, until) for story in vendor.stories)
            sent += self._send_all(organization, new, until)
            _settle(organization, until)
            rebuild_forecasts(organization, now, since, until)
            detect(organization.pk, until)
        return sent

    def _send_all(self, organization: Organization, events: Iterator[dict[str, Any]], now: datetime) -> int:
        sent = 0
        for batch in in_batches(events):
            self._send(organization, batch, now)
            sent += len(batch)
            if sent % 10_000 < len(batch) and len(batch) == 1000:
                self.stdout.write(f"  {organization.name}: {sent:,} events")
        return sent

    def _send(self, organization: Organization, batch: list[dict[str, Any]], now: datetime) -> None:
        items = parse_items(batch, Window.around(now, BEGINNING))
        answer = accept_events(Sender(organization.pk), items, now)
        if answer.rejected:
            self.stderr.write(f"  {answer.rejected} rejected: {answer.remarkable}")


def _settle(organization: Organization, now: datetime) -> None:
    while catch_up(organization.pk, now):
        pass


def _write_logins(path: Path) -> None:
    """Tell the demo's console who can sign in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"email": person.email, "password": PASSWORD, "who": f"{person.name}, {person.title}"} for person in PEOPLE
    ]
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
