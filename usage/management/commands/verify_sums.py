"""Conservation, checked: accepted = rolled up = rated, for every organization, account and meter."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.reports.conservation import differences


class Command(BaseCommand):
    help = "Compare the sums of accepted events, hours, days and totals. Exits with 1 at the first difference."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", help="Only the organization with this key.")

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = Organization.objects.order_by("key")
        if options["organization"]:
            organizations = organizations.filter(key=options["organization"])
        if not organizations:
            raise CommandError("There is no such organization.")
        for organization in organizations:
            viewer = Viewer(organization.pk)
            with act_as(viewer):
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL statement_timeout = 0")
                found = differences(viewer, timezone.now())
            if found:
                raise CommandError(f"{organization.key}: {found[0]} ({len(found)} differences in all)")
            self.stdout.write(f"{organization.key}: all sums agree")
