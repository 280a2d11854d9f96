"""The accuracy pack: how far forecasts were off, by horizon and segment, with the forecasts that were judged."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from django.db.models import QuerySet

from accounts.models import Account, Organization
from budgets.calc.accuracy import Accuracy
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastCalibration, ForecastScore
from budgets.reports.accounts_then import Then, was
from budgets.reports.document import Cell, Column, Document, Row, Table, cents
from budgets.reports.forecast_accuracy import HORIZONS, LOOK_BACK, RUN_OUT, dates_measured, measured
from consumption_cs.lib.display import counted, percent_text
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer

JUDGED = 30  # the horizon of the one sentence and of the months
LISTED = 20_000  # forecasts of each list in a file: a sheet that still opens at once
PRINTED = 60  # of them on paper

_HORIZONS = (
    Column("Accounts"), Column("Days ahead", "number"), Column("Scores", "number"), Column("Error (WAPE)", "percent"),
    Column("Bias", "percent"), Column("Typical miss", "percent"), Column("Ranges that held", "percent"),
)  # fmt: skip
_DATES = (
    Column("What"), Column("Scores", "number"), Column("Typical miss in days", "number"),
    Column("Of the days remaining", "percent"), Column("Windows that held", "percent"),
)  # fmt: skip
_MONTHS = (Column("Month", "date"), Column("Scores", "number"), Column("Ranges that held", "percent"))
_INTERVALS = (
    Column("Since", "date"), Column("Width below", "percent"), Column("Width above", "percent"),
    Column("Held before", "percent"), Column("Scores", "number"),
)  # fmt: skip
_FORECASTS = (
    Column("Account"), Column("Key"), Column("Segment"), Column("Currency"), Column("Made on", "date"),
    Column("Days ahead", "number"), Column("Low (P10)", "money"), Column("Most likely (P50)", "money"),
    Column("High (P90)", "money"), Column("Spent", "money"), Column("Miss", "percent"), Column("Held"),
    Column("Forecast check code"),
)  # fmt: skip
_RUN_OUTS = (
    Column("Account"), Column("Key"), Column("Segment"), Column("Made on", "date"), Column("Early date", "date"),
    Column("Most likely date", "date"), Column("Late date", "date"), Column("Ran out on", "date"),
    Column("Days off", "number"), Column("Held"), Column("Forecast check code"),
)  # fmt: skip
_Scores = dict[tuple[str, int, str], "array[float]"]  # by segment, days ahead and currency: P10, P50, P90, actual


def organization_document(viewer: Viewer, organization: Organization, as_of: datetime) -> Document:
    """Return how the forecasts of the half year before were off, from what had been scored by then."""
    since = day_of(as_of - LOOK_BACK, zone_of(organization.timezone))
    rows = ForecastScore.objects.visible_to(viewer).filter(as_of__gte=since, scored_at__lte=as_of)
    segments = _Segments(viewer, as_of)
    scores, months = _read(rows, segments)
    lines = _lines(scores)
    tables = [
        _horizons(lines),
        _dates(scores),
        Table("Months", "By month", f"{JUDGED}-day forecasts, by the month they were made in.", _MONTHS, months),
        _intervals(viewer, since, as_of),
        _forecasts(rows, segments),
        _run_outs(rows, segments),
    ]
    judged = lines.get(("All accounts", JUDGED))
    facts = [
        ("Forecasts made since", since.isoformat()),
        ("Scores", f"{sum(len(one) // 4 for one in scores.values())}"),
    ]
    return Document(
        "accuracy",
        "Forecast accuracy",
        organization.name,
        "",
        as_of,
        organization.timezone,
        _said(judged),
        facts,
        tables,
    )


class _Segments:
    """Accounts as they were called, and the segments they were in, at the as-of."""

    def __init__(self, viewer: Viewer, as_of: datetime) -> None:
        then, before = Then(viewer, as_of), was(viewer, "segment", as_of)
        self.accounts = {account.pk: then.of(account) for account in Account.objects.visible_to(viewer)}
        self.names = {
            pk: before.get(str(pk), str(account.get_segment_display())) for pk, account in self.accounts.items()
        }

    def head(self, account_id: object) -> list[Cell]:
        account = self.accounts[account_id]
        return [account.name, account.key, self.names[account_id]]


def _read(rows: "QuerySet[ForecastScore]", segments: _Segments) -> tuple[_Scores, list[Row]]:
    """Return all scores by group, in one pass over what may be millions, and the months' coverage."""
    scores: _Scores = defaultdict(lambda: array("d"))
    held: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    fields = ("account_id", "days", "run__currency", "as_of", "p10", "p50", "p90", "actual")
    for account_id, days, currency, as_of, *levels in rows.order_by("pk").values_list(*fields).iterator(10_000):
        scores[segments.names[account_id], days, currency].extend(levels)
        if days == JUDGED:
            month = held[as_of.replace(day=1)]
            month[0] += 1
            month[1] += levels[0] <= levels[3] <= levels[2]
    return scores, [[month, Decimal(all_), _share(inside / all_)] for month, (all_, inside) in sorted(held.items())]


def _lines(scores: _Scores) -> dict[tuple[str, int], Accuracy]:
    """Return the accuracy of all accounts and of each segment that has scores, by horizon."""
    names = {segment for segment, _, _ in scores}
    known = [str(name) for name in Account.Segment.labels if name in names]
    groups = [("All accounts", names), *((name, {name}) for name in known)]
    found = {}
    for group, members in groups:
        for days in HORIZONS:
            by_currency: dict[str, list[Floats]] = defaultdict(list)
            for key in sorted(scores):
                if key[0] in members and key[1] == days:
                    by_currency[key[2]].append(np.array(scores[key]))
            accuracy = measured(np.concatenate(parts) for parts in by_currency.values())
            if accuracy.scores or group == "All accounts":
                found[group, days] = accuracy
    return found


def _horizons(lines: dict[tuple[str, int], Accuracy]) -> Table:
    rows: list[Row] = [
        [
            group, Decimal(days), Decimal(found.scores),
            *(_share(one) for one in (found.wape, found.bias, found.median_error, found.coverage)),
        ]
        for (group, days), found in lines.items()
    ]  # fmt: skip
    note = (
        "Error: all misses ÷ all that was spent. Bias above zero: forecast too high. Half of the misses are smaller "
        "than the typical one. Ranges should hold 80%."
    )
    return Table("Horizons", "By days ahead and segment", note, _HORIZONS, rows)


def _dates(scores: _Scores) -> Table:
    parts = [np.array(scores[key]) for key in sorted(scores) if key[1] == RUN_OUT]
    found = dates_measured(np.concatenate(parts).reshape(-1, 4) if parts else np.zeros((0, 4)))
    rows: list[Row] = []
    if found.scores and found.median_days is not None:
        median = Decimal(repr(round(found.median_days, 1)))
        rows = [["Run-out dates", Decimal(found.scores), median, _share(found.median_share), _share(found.coverage)]]
    note = "Of commits that have run out since: half of the forecast dates were closer than the typical miss."
    return Table("Dates", "Run-out dates", note, _DATES, rows)


def _intervals(viewer: Viewer, since: date, as_of: datetime) -> Table:
    made = ForecastCalibration.objects.visible_to(viewer).filter(made_at__lte=as_of, made_at__date__gte=since)
    rows: list[Row] = [
        [one.made_at.date(), _share(one.widen_low), _share(one.widen_high), _share(one.coverage), Decimal(one.scores)]
        for one in made.order_by("made_at", "pk")
    ]
    note = "What ranges are made wider (above 100%) or narrower by, each week, until they hold 8 in 10."
    return Table("Intervals", "Width of the ranges", note, _INTERVALS, rows)


def _forecasts(scores: "QuerySet[ForecastScore]", segments: _Segments) -> Table:
    rows: list[Row] = []
    for score in _latest(scores.exclude(days=RUN_OUT)):
        currency = score.run.currency
        money = [cents(amount, currency) for amount in (score.p10, score.p50, score.p90, score.actual)]
        miss = _share((score.p50 - score.actual) / score.actual) if score.actual > 0 else None
        rows.append([
            *segments.head(score.account_id), currency, score.as_of, Decimal(score.days), *money, miss, _held(score),
            score.run.inputs_hash[:12],
        ])  # fmt: skip
    return Table("Forecasts", "Forecasts judged", _note(scores.exclude(days=RUN_OUT)), _FORECASTS, rows,
                 most_printed=PRINTED)  # fmt: skip


def _run_outs(scores: "QuerySet[ForecastScore]", segments: _Segments) -> Table:
    rows: list[Row] = []
    for score in _latest(scores.filter(days=RUN_OUT)):
        days = [
            score.as_of + timedelta(days=round(ahead)) for ahead in (score.p10, score.p50, score.p90, score.actual)
        ]
        off = Decimal(round(score.p50 - score.actual))
        rows.append([
            *segments.head(score.account_id), score.as_of, *days, off, _held(score), score.run.inputs_hash[:12],
        ])  # fmt: skip
    return Table("Dates judged", "Run-out dates judged", _note(scores.filter(days=RUN_OUT)), _RUN_OUTS, rows,
                 most_printed=PRINTED)  # fmt: skip


def _latest(scores: "QuerySet[ForecastScore]") -> Iterable[ForecastScore]:
    """Return the latest in the order of their days: the same ones at any time."""
    latest = scores.select_related("run").only(
        "account_id", "days", "as_of", "p10", "p50", "p90", "actual", "run__currency", "run__inputs_hash"
    )
    return reversed(latest.order_by("-as_of", "-account_id", "-days", "-pk")[:LISTED])


def _note(scores: "QuerySet[ForecastScore]") -> str:
    said = "Each account's last forecast of a day, when its days had passed. The check code is that of its inputs."
    found = scores.count()
    return f"{said} The latest {LISTED} of {found}." if found > LISTED else said


def _held(score: ForecastScore) -> str:
    return "yes" if score.p10 <= score.actual <= score.p90 else "no"


def _share(ratio: float | None) -> Decimal | None:
    return None if ratio is None else Decimal(repr(round(float(ratio), 4)))


def _said(judged: Accuracy | None) -> str:
    if judged is None or judged.wape is None or judged.coverage is None:
        return "No forecast of 30 days could be judged yet."
    off, held = percent_text(judged.wape), percent_text(judged.coverage, places=0)
    outcomes = counted(judged.scores, "outcome")
    return f"{JUDGED}-day forecasts were off by {off}, and their ranges held {held} of {outcomes}."
