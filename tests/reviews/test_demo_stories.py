"""Each bill shock of the demo has the alert that came before the bill, and people who dealt with it."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now as read_clock

from accounts.models import Organization, Role
from budgets.models import Alert, Delivery, Destination, Forgiveness, LimitEvent
from consumption_cs.lib.tenancy import act_as
from reviews.demo import load, load_book
from reviews.demo.alert_stories import QUIET, YOUNG, _seat
from reviews.demo.told import told_stories
from reviews.management.commands import seed_demo
from usage.models import AccountDay


@pytest.mark.django_db
def test_each_story_has_its_alert_its_cause_what_was_sent_and_what_became_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _by_indexes()
    monkeypatch.setattr(load, "HISTORY_DAYS", 62)
    monkeypatch.setattr(load_book, "MEASURED_DAYS", 1)
    monkeypatch.setattr(seed_demo, "VENDORS", seed_demo.VENDORS[:1])
    call_command("seed_demo", logins=tmp_path / "logins.json")
    with act_as(_seat(Organization.objects.get(key="acme-ai"), Role.ADMIN)) as viewer:
        stories = {story.title: story for story in told_stories(viewer)}
        for title, feedback in (
            ("Runaway loop", Alert.Feedback.USEFUL),
            ("Backfill that nobody announced", Alert.Feedback.EXPECTED),
        ):
            story = stories[title]
            assert story.alert is not None
            assert story.alert.feedback == feedback
            assert story.alert.state == Alert.State.ACKNOWLEDGED
            assert story.cause
            assert any("@" in line for line in story.sent)
            assert any(QUIET in line for line in story.sent)
        # A leak, a price and silence are told too; a batch that was announced is only recorded.
        for title in ("A leak", "A price that went up", "Silence"):
            alert = stories[title].alert
            assert alert is not None, title
            assert alert.raised_at < read_clock() - timedelta(hours=2), title
        announced = stories["A batch that was announced"]
        assert announced.alert is None
        assert announced.muted is not None
        assert all(asked.state == Forgiveness.State.APPROVED for asked in Forgiveness.objects.all())
        assert Delivery.objects.filter(
            topic="alert.escalated", alert=stories["Backfill that nobody announced"].alert
        ).exists()
        assert not Delivery.objects.filter(destination__isnull=False, state=Delivery.State.WAITING).exists()
        assert not Destination.objects.filter(disabled_at=None).exists()
        newest = AccountDay.objects.latest("day").day
        spent = sum(
            AccountDay.objects.filter(account__key="quanta", day__gte=newest.replace(day=1)).values_list(
                "spend", flat=True
            )
        )
        if spent > 4 * YOUNG:
            kinds = set(LimitEvent.objects.values_list("kind", flat=True))
            assert {LimitEvent.Kind.ACTING, LimitEvent.Kind.WOULD_ACT} <= kinds


def _by_indexes() -> None:
    """Nothing is committed in a test, so nobody counts the rows: the planner would take full tables for empty ones."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
