"""The figures of a value review as tables of numbers, for the workbook: the frozen content and nothing else."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from budgets.reports.document import Chart, Column, Document, Row, Table
from reviews.models import ValueReview
from reviews.reports.review_page import shown


def review_document(review: ValueReview) -> Document:
    """Return the review's figures: a sheet for each of its tables, sums in formulas."""
    content, page = review.content, shown(review.content, review.hash)
    figures = content["figures"]
    return Document(
        kind="value_review",
        title=f"{page['name']}, {page['period']}",
        organization=page["organization"],
        account=page["account"],
        as_of=datetime.fromisoformat(figures["as_of"]),
        zone=figures["account"]["timezone"],
        said=page["headline"],
        facts=[("Hash", review.hash), ("Published", page["published_at"]),
               *((fact["label"], fact["value"]) for fact in page["facts"])],
        tables=[table for table in _tables(figures) if table.rows],
    )  # fmt: skip


def _tables(figures: Mapping[str, Any]) -> Sequence[Table]:
    currency = figures["account"]["currency"]
    period = figures["period"]["short"]
    return [
        _bridge(figures, currency),
        _bridge_by_workflow(figures, currency),
        Table(
            "Success", "Success of each workflow", "Successful ÷ finished attempts, with the 95 % Wilson range.",
            (Column("Workflow"), Column("Attempts before", "number", True), Column("Attempts", "number", True),
             Column("Rate before", "percent"), Column("Rate", "percent"), Column("Low", "percent"),
             Column("High", "percent"), Column("Target", "percent"), Column("What improved it")),
            [
                (row["name"], Decimal(row["attempts_before"]), Decimal(row["attempts"]), _d(row["rate_before"]),
                 _d(row["rate"]), _d(row["low"]), _d(row["high"]), _d(row["target"]), row["why"] or row["missing"])
                for row in figures["success"]
            ],
            currency,
        ),
        Table(
            "Spend", "Spend by month", f"{period}. A month that is only partly in the period has no budget here.",
            (Column("Month", "date"), Column("Spend", "money", True), Column("Budget", "money")),
            [
                (date.fromisoformat(row["month"]), _d(row["spend"]), _d(row["budget"]))
                for row in figures["spend"]["months"]
            ],
            currency,
            chart=Chart("Spend and budget by month", "Month", ("Spend",), ("Budget",), bars=True),
        ),
        Table(
            "Value", "Value of outcomes", "Only what the customer confirmed is counted; the rest is empty.",
            (Column("Workflow"), Column("Outcomes", "number", True), Column("Value of one", "exact"),
             Column("Value", "money", True), Column("State"), Column("Who"), Column("On", "date")),
            [
                (row["name"], _d(row["outcomes"]), _d(row["value_each"]), _d(row["value"]), row["state"], row["who"],
                 date.fromisoformat(row["on"]) if row["on"] else None)
                for row in figures["values"]
            ],
            currency,
        ),
        _incidents(figures, currency),
        Table(
            "Savings", "Savings found", "A month.",
            (Column("Proposal"), Column("Workflow"), Column("Saves a month", "money", True), Column("Effort"),
             Column("Trade-off")),
            [
                (row["title"], row["workflow"], _d(row["saving"]), row["effort"], row["trade_off"])
                for row in figures["savings"]
            ],
            currency,
        ),
        Table(
            "Next", "What comes next", "Estimates of a month.",
            (Column("Workflow"), Column("Rung"), Column("Value", "money"), Column("Effort in weeks", "exact"),
             Column("Spend", "money"), Column("Why")),
            [
                (row["title"], row["rung"], _d(row["value"]), _d(row["effort_weeks"]), _d(row["spend"]), row["why"])
                for row in figures["next"]
            ],
            currency,
        ),
        _burndown(figures, currency),
    ]  # fmt: skip


def _bridge(figures: Mapping[str, Any], currency: str) -> Table:
    bridge = figures["bridge"]
    rows: list[Row] = []
    if bridge:
        rows = [
            (figures["before"]["short"], _d(bridge["opening"]), ""),
            *((part["label"], _d(part["amount"]), part["why"]) for part in bridge["parts"]),
        ]
    return Table(
        "Bridge", "Cost of 1,000 outcomes", f"The sum is that of {figures['period']['short']}.",
        (Column("Step"), Column("Amount", "money", True), Column("What happened")), rows, currency,
    )  # fmt: skip


def _bridge_by_workflow(figures: Mapping[str, Any], currency: str) -> Table:
    bridge = figures["bridge"]
    parts = bridge["parts"] if bridge else []
    labels = [part["label"] for part in parts]
    rows = [
        (row["name"], *(_d(row["parts"][part["key"]]) for part in parts), _d(row["total"]))
        for row in (bridge["workflows"] if bridge else [])
    ]
    total = Column("Total", "money", True, (labels[0], labels[-1]) if labels else None)
    columns = (Column("Workflow"), *(Column(label, "money", True) for label in labels), total)
    return Table("By workflow", "The same by workflow", "Each column adds up to its step.", columns, rows, currency)


def _burndown(figures: Mapping[str, Any], currency: str) -> Table:
    commit = figures["commit"]
    rows: list[Row] = []
    if commit:
        rows = [(date.fromisoformat(point["on"]), _d(point["left"]), None, None, None) for point in commit["points"]]
        rows += [
            (date.fromisoformat(point["on"]), None, _d(point["p10"]), _d(point["p50"]), _d(point["p90"]))
            for point in commit["ahead"]
        ]
    return Table(
        "Burndown", "Left of the commit", "As of the review; the forecast as it was then.",
        (Column("Day", "date"), Column("Left", "money"), Column("Low", "money"), Column("Likely", "money"),
         Column("High", "money")),
        rows, currency, chart=Chart("Left of the commit", "Day", ("Left",), ("Low", "Likely", "High")),
    )  # fmt: skip


def _d(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _incidents(figures: Mapping[str, Any], currency: str) -> Table:
    """With the side that caused each, where the review looked at that; a file of an older one stays as it was."""
    columns: tuple[Column, ...] = (
        Column("On", "date"),
        Column("What"),
        Column("Cost", "money", True),
        Column("Credited", "money", True),
    )
    rows: list[Row] = [
        (date.fromisoformat(row["on"]), row["title"], _d(row["cost"]), _d(row["credited"]))
        for row in figures["incidents"]
    ]
    if any("side_why" in row for row in figures["incidents"]):
        columns += (Column("Side"),)
        sides = {"vendor": figures["organization"]["name"], "customer": figures["account"]["name"]}
        told = [sides.get(row["side"], "Not told apart" if "side_why" in row else "") for row in figures["incidents"]]
        rows = [(*row, side) for row, side in zip(rows, told, strict=True)]
    return Table("Incidents", "Incidents", "At contract rates.", columns, rows, currency)
