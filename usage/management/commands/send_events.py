"""Try the product on a table of one's own: every row becomes a real event over HTTP, each counted once."""

import hashlib
import logging
import os
import sys
import time
from argparse import ArgumentParser
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Organization
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.trial import BadSeries, Trial, TrialPlan, make_trial
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter
from usage.replay_client import Progress, Sender, Stopped
from usage.replay_file import (
    BadTable,
    Columns,
    Summary,
    count_rows,
    events_of,
    find_columns,
    read_rows,
    summarize,
    weeks_until,
)
from usage.reports.freshness import data_through
from usage.reports.replay_check import compare_sums

KEY_VARIABLE = "CCS_API_KEY"
SECONDS_TO_COUNT = 300


class Command(BaseCommand):
    help = (
        "Send a table of (series, time, quantity) from a Parquet or CSV file as usage events over HTTP. Interrupted, "
        "run it again: it goes on where it stopped, and no row ever counts twice."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", required=True, type=Path, help="A .parquet or .csv file.")
        parser.add_argument("--org", required=True, help="Key of the organization that the API key belongs to.")
        parser.add_argument("--url", default=settings.SITE_URL, help="Where the product runs (default %(default)s).")
        parser.add_argument("--key", default="", help=f"API key; or set {KEY_VARIABLE}, which no process list shows.")
        parser.add_argument("--rate", type=float, default=0, help="Events a second; 0, the default: no limit.")
        parser.add_argument("--columns", default="", help="Names of the columns series,time,quantity.")
        parser.add_argument("--type", default="usage.quantity", help="Type of the events (default %(default)s).")
        parser.add_argument("--source", default="", help="Source of the events; the file's name if not given.")
        parser.add_argument("--state", type=Path, help="Where to note how far it came.")
        parser.add_argument("--to-today", action="store_true", help="Move all times by whole weeks, up to this week.")
        parser.add_argument("--check", action="store_true", help="Afterwards compare sums to the last digit.")
        trial = parser.add_argument_group("trial", "Make what is missing, straight in the database:")
        trial.add_argument(
            "--create-accounts", action="store_true", help="Organization, an account per series, meter, price, key."
        )
        trial.add_argument("--unit", default="unit", help="What one of the quantity is (default %(default)s).")
        trial.add_argument("--unit-price", default="0.01", help="What one costs (default %(default)s).")
        trial.add_argument("--currency", default="USD")
        trial.add_argument("--admin", default="", metavar="EMAIL", help="Seat this person as admin; made if missing.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._run(options)
        except (BadTable, BadSeries, BadPrice, Stopped) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run the same command to go on.") from None

    def _run(self, options: dict[str, Any]) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line for every request
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        columns = find_columns(path, options["columns"])
        self.stdout.write(f"Reading {path.name}: {', '.join(columns)} …")
        table = summarize(read_rows(path, columns))
        self.stdout.write(
            f"{table.rows:,} rows of {len(table.sums):,} series, {table.first:%Y-%m-%d} to {table.last:%Y-%m-%d}."
        )
        shift = weeks_until(table.last, timezone.now()) if options["to_today"] else timedelta()
        trial = self._make_trial(options, table, shift) if options["create_accounts"] else None
        key = options["key"] or os.environ.get(KEY_VARIABLE, "") or (trial.secret if trial else "")
        if not key:
            raise CommandError(f"Give an API key with --key or {KEY_VARIABLE}, or make one with --create-accounts.")
        source = options["source"] or f"send_events/{path.stem}"
        self._send(options, path, columns, source, shift, Sender(options["url"], key, options["rate"]))
        if options["check"]:
            self._check(options, source, table)

    def _make_trial(self, options: dict[str, Any], table: Summary, shift: timedelta) -> Trial:
        plan = TrialPlan(
            organization_key=options["org"],
            series=list(table.sums),
            event_type=options["type"],
            unit=options["unit"],
            unit_price=read_unit_price(options["unit_price"]),
            currency=options["currency"],
            starts_on=(table.first + shift).date() - timedelta(days=1),
            admin_email=options["admin"],
        )
        trial = make_trial(plan)
        self.stdout.write(f"Organization {trial.organization.key}: {trial.made:,} accounts made, price and key ready.")
        if options["admin"]:
            known = f"with the password {trial.password}" if trial.password else "with the password they have"
            self.stdout.write(f"{options['admin']} signs in at {options['url']} {known}.")
        return trial

    def _send(
        self, options: dict[str, Any], path: Path, columns: Columns, source: str, shift: timedelta, sender: Sender
    ) -> None:
        target = f"{options['url']} {options['org']} {source} {options['type']} {shift}"
        name = f".send_events-{path.stem}-{hashlib.sha256(target.encode()).hexdigest()[:8]}.json"
        state = options["state"] or Path(name)
        progress = Progress.load(state, _digest(path), source)
        if progress.rows:
            self.stdout.write(f"Going on after {progress.rows:,} rows (noted in {state}).")
        line = _Line(self.stdout, count_rows(path), progress.rows)

        def note(now: Progress) -> None:
            now.save(state)
            line.show(now)

        events = events_of(read_rows(path, columns), source, options["type"], shift)
        sender.send(events, progress, note)
        line.end(progress)

    def _check(self, options: dict[str, Any], source: str, table: Summary) -> None:
        organization = Organization.objects.filter(key=options["org"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['org']} in this database, so nothing to check.")
        viewer = Viewer(organization.pk)
        self.stdout.write("Waiting until everything is counted …")
        started = time.monotonic()
        while not _is_counted(viewer):
            if time.monotonic() - started > SECONDS_TO_COUNT:
                raise CommandError("Events still wait to be counted. Are the workers running? Check again later.")
            time.sleep(0.5)
        with act_as(viewer):
            meter = Meter.objects.visible_to(viewer).filter(event_type=options["type"]).first()
            if meter is None:
                raise CommandError(f"No meter reads events of the type {options['type']}.")
            differences = compare_sums(viewer, table.sums, source, meter)
        for one in differences[:20]:
            self.stderr.write(f"{one.account}: sent {one.sent}, stored {one.stored}, counted {one.counted}")
        if differences:
            raise CommandError(f"{len(differences):,} of {len(table.sums):,} accounts differ.")
        total = sum(table.sums.values(), Decimal(0)).normalize()
        waited = time.monotonic() - started
        self.stdout.write(
            f"Counted {waited:.1f} s after the last answer. Sent = stored = counted for all {len(table.sums):,} "
            f"accounts, to the last digit; in all {total:f}."
        )


class _Line:
    """One line that is written anew every second, or every five where nobody watches."""

    def __init__(self, out: Any, rows: int, done: int) -> None:
        self.out, self.rows, self.start = out, rows, done
        self.started = self.shown = time.monotonic()
        self.is_watched = sys.stdout.isatty()

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.shown < (1 if self.is_watched else 5):
            return
        self.shown = now
        speed = (progress.rows - self.start) / (now - self.started)
        left = max(self.rows - progress.rows, 0) / speed
        share = min(progress.rows / self.rows, 1)
        text = f"{progress.rows:,} of {self.rows:,} rows ({share:.0%}), {speed:,.0f} a second, {left:.0f} s left"
        self.out.write(f"\r{text}   " if self.is_watched else text, ending="" if self.is_watched else "\n")
        self.out.flush()

    def end(self, progress: Progress) -> None:
        seconds = max(time.monotonic() - self.started, 0.001)
        sent = progress.rows - self.start
        self.out.write("\n" if self.is_watched else "", ending="")
        self.out.write(
            f"Sent {sent:,} rows in {seconds:.1f} s, {sent / seconds:,.0f} a second. In all: "
            f"{progress.accepted:,} accepted, {progress.duplicate:,} known already, "
            f"{progress.quarantined:,} quarantined."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_counted(viewer: Viewer) -> bool:
    with act_as(viewer):
        return data_through(viewer, timezone.now()).lag_seconds == 0
