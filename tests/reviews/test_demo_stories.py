"""Each bill shock of the demo has the alert that came before the bill, and people who dealt with it."""

from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.models import Organization, Role
from budgets.models import Alert, Delivery, Destination, Forgiveness, LimitEvent
from consumption_cs.lib.tenancy import act_as
from reviews.demo import load
from reviews.demo.alert_stories import QUIET, YOUNG, _seat
from reviews.demo.told import told_stories
from usage.models import AccountDay


@pytest.mark.django_db
def test_each_story_has_its_alert_its_cause_what_was_sent_and_what_became_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(load, "HISTORY_DAYS", 62)
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
        assert all(asked.state == Forgiveness.State.APPROVED for asked in Forgiveness.objects.all())
        assert Delivery.objects.filter(topic="alert.escalated", alert=stories[title].alert).exists()
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
