"""The demo's stories: every kind of agreement is told, all of it through real actions, and the ledger is exact."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Count

from accounts.models import Organization
from budgets.models import (
    ApprovalTerms,
    Commit,
    CommitChange,
    ForecastRun,
    ForecastScore,
    LedgerCheck,
    LedgerEntry,
    PlannedActivity,
    Scenario,
)
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.demo import load, load_book
from reviews.demo.agreements import AGREEMENTS, VENDOR_COSTS
from reviews.demo.stories import VENDORS
from usage.models import Adjustment, BillingPeriod, Correction, Price, RateCardVersion, UsageImport, VendorCost

STORIES = {story.key: story for vendor in VENDORS for story in vendor.stories}


def test_every_agreement_is_with_a_customer_of_the_demo() -> None:
    assert set(AGREEMENTS) == set(STORIES)
    event_types = {meter.event_type for vendor in VENDORS for meter in vendor.meters}
    assert set(VENDOR_COSTS) <= event_types
    plans = [commit for contracts in AGREEMENTS.values() for contract in contracts for commit in contract.commits]
    assert all(set(plan.only) | set(plan.without) <= event_types for plan in plans)


@pytest.mark.django_db
def test_the_stories_show_each_kind_of_commit_and_correction_and_the_ledger_is_exact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setattr(load, "HISTORY_DAYS", 62)
    monkeypatch.setattr(load_book, "MEASURED_DAYS", 1)
    call_command("seed_demo", logins=tmp_path / "logins.json")
    call_command("verify_ledger")
    organization = Organization.objects.get(key="acme-ai")
    with act_as(Viewer(organization.pk)):
        assert set(Commit.objects.values_list("kind", flat=True)) == set(Commit.Kind.values)
        assert {"amended", "cancelled"} <= set(CommitChange.objects.values_list("kind", flat=True))
        assert {"granted", "drawn", "expired", "overage"} <= set(LedgerEntry.objects.values_list("kind", flat=True))
        assert Adjustment.objects.filter(reason__icontains="late").exists()
        assert set(Correction.objects.values_list("kind", flat=True)) == {"void", "replace"}
        assert LedgerCheck.objects.latest("checked_at").is_exact
        assert set(UsageImport.objects.values_list("state", flat=True)) == {"closed", "refused"}
        assert set(RateCardVersion.objects.values_list("status", flat=True)) == {"published", "draft"}
        published = RateCardVersion.objects.filter(shadow__isnull=False, status="published").get()
        assert published.shadow["state"] == "ready"
        models = {terms.get("model", "matrix") for terms in Price.objects.values_list("terms", flat=True)}
        assert models == {"unit", "graduated", "volume", "package", "matrix"}
        before = _counts()
        runs = ForecastRun.objects.filter(account__key="northwind").order_by("as_of")
        assert [run.details["rebuilt"] for run in runs] == [True] * 16 + [False]
        assert [bool(run.details["planned"]) for run in runs] == [False] * 16 + [True]
        assert ForecastScore.objects.filter(days=30).exists()
        assert set(Scenario.objects.values_list("is_shared", flat=True)) == {True, False}
        assert set(PlannedActivity.objects.values_list("kind", flat=True)) == {"load_test", "backfill"}
        assert ApprovalTerms.objects.exclude(discounts=[]).exists()
    call_command("seed_demo", logins=tmp_path / "logins.json")
    with act_as(Viewer(organization.pk)):
        assert _counts() == before
    with act_as(Viewer(Organization.objects.get(key="globex-voice").pk)):
        assert BillingPeriod.objects.exclude(invoiced=None).filter(account__key="fjord").exists()
    assert "exact" in capsys.readouterr().out


def _counts() -> list[int]:
    tables = (Commit, CommitChange, Price, VendorCost, UsageImport, Adjustment, Correction, PlannedActivity, Scenario)
    return [table._default_manager.aggregate(rows=Count("pk"))["rows"] for table in tables]
