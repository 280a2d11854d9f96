"""The check of the ledger by hand: accepted = rolled up = rated = drawn + overage, exactly."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Organization
from budgets.actions.verify import verify_ledger
from budgets.models import LedgerCheck


class Command(BaseCommand):
    help = "Compare events, roll-ups, rated days, ledger and balances, and recompute. Exits with 1 if any differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", help="Only the organization with this key.")
        parser.add_argument("--json", action="store_true", help="Write one line of JSON per organization.")

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = Organization.objects.order_by("key")
        if options["organization"]:
            organizations = organizations.filter(key=options["organization"])
        if not organizations:
            raise CommandError("There is no such organization.")
        different = []
        for organization in organizations:
            check = verify_ledger(organization.pk, timezone.now())
            self.stdout.write(_json(organization, check) if options["json"] else _words(organization, check))
            if not check.is_exact:
                different.append(organization.key)
        if different:
            raise CommandError(f"The ledger differs in {', '.join(different)}.")


def _json(organization: Organization, check: LedgerCheck) -> str:
    return json.dumps(
        {
            "organization": organization.key,
            "checked_at": check.checked_at.isoformat(),
            "exact": check.is_exact,
            "accounts": check.accounts,
            "difference": check.difference,
            **check.figures,
        }
    )


def _words(organization: Organization, check: LedgerCheck) -> str:
    waiting = int(check.figures["waiting"])
    left_out = f" ({waiting} more wait for settlement)" if waiting else ""
    said = "exact" if check.is_exact else check.difference
    return f"{organization.key}: {check.accounts} accounts{left_out}: {said}"
