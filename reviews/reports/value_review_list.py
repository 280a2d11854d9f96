"""An account's reviews side by side: outcomes for each 1,000 spent, value and signatures, review by review."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.models import Account
from consumption_cs.lib.display import counted, money_text, percent_text, quantity_text
from consumption_cs.lib.figures import Figure, Numbers, Series
from consumption_cs.lib.tenancy import Viewer
from reviews.models import ReviewCorrection, ReviewSignature, ValueReview


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """One review in the list; None is not known."""

    review: ValueReview
    period: str
    per_money: Decimal | None
    change: Decimal | None
    spend: Decimal
    value: Decimal | None
    signed: int
    asked: int
    corrections: int

    @property
    def state(self) -> tuple[str, str]:
        """The state in words with its tone."""
        if self.signed and self.signed >= self.asked:
            return ("Signed, corrected since" if self.corrections else "Signed"), "good"
        if self.asked:
            return f"{self.signed} of {self.asked} signed", "warn"
        return "Not signed", "info"


@dataclass(frozen=True, slots=True)
class ReviewList:
    """The reviews of an account, newest first."""

    account: Account
    lines: Sequence[ReviewLine]

    def headline(self, is_portal: bool) -> str:
        """Return the sentence on top."""
        if not self.lines:
            return "The first value review comes after 30 days of billable use."
        newest, oldest = self.lines[0], self.lines[-1]
        who = "You get" if is_portal else f"{self.account.name} gets"
        thousand = money_text(Decimal(1000), self.account.currency, places=0)
        if newest.per_money is None:
            return f"{counted(len(self.lines), 'value review')}, the last of {newest.period}."
        said = f"{who} {quantity_text(newest.per_money, places=0)} outcomes for each {thousand}"
        if oldest is not newest and oldest.per_money:
            moved = newest.per_money / oldest.per_money - 1
            way = "more" if moved >= 0 else "fewer"
            said += f", {percent_text(abs(moved), places=0)} {way} than in the first review"
        return f"{said}."

    @property
    def lead(self) -> str:
        """What is left to sign."""
        waiting = [line for line in self.lines if line.signed < line.asked]
        if not waiting:
            return "Each review is frozen when it is published: numbered, with a hash, and never changed."
        numbers = ", ".join(str(line.review.number) for line in waiting)
        return (
            f"Review {numbers} waits for a signature."
            if len(waiting) == 1
            else f"Reviews {numbers} wait for signatures."
        )

    @property
    def chart(self) -> Figure | None:
        """Outcomes for each 1,000 spent, by review; None for fewer than two."""
        known = [line for line in reversed(self.lines) if line.per_money is not None]
        if len(known) < 2:
            return None
        thousand = money_text(Decimal(1000), self.account.currency, places=0)
        rows = [[f"Review {line.review.number}", line.period, quantity_text(line.per_money or 0, places=0)]
                for line in known]  # fmt: skip
        first, last = known[0].per_money or Decimal(1), known[-1].per_money or Decimal(0)
        way = "rose" if last >= first else "fell"
        return Figure(
            id="reviews",
            headline=f"Outcomes for each {thousand} {way} from {rows[0][2]} to {rows[-1][2]}",
            sub="As frozen in each review.",
            summary=", ".join(f"{row[0]}: {row[2]}" for row in rows),
            series=[Series("Outcomes", [row[0] for row in rows], [line.per_money for line in known])],
            value="count",
            unit="outcomes",
            numbers=Numbers(["Review", "Period", f"Outcomes per {thousand}"], rows),
        )


def review_list(viewer: Viewer, account: Account) -> ReviewList:
    """Return the account's reviews with their state. Three queries."""
    rows = list(ValueReview.objects.visible_to(viewer).filter(account=account).order_by("-number"))
    signed: dict[Any, int] = {}
    for name in ReviewSignature.objects.visible_to(viewer).filter(review__in=rows).values_list("review_id", flat=True):
        signed[name] = signed.get(name, 0) + 1
    notes: dict[Any, int] = {}
    for name in (
        ReviewCorrection.objects.visible_to(viewer).filter(review__in=rows).values_list("review_id", flat=True)
    ):
        notes[name] = notes.get(name, 0) + 1
    return ReviewList(account, [_line(row, signed.get(row.pk, 0), notes.get(row.pk, 0)) for row in rows])


def _line(review: ValueReview, signed: int, notes: int) -> ReviewLine:
    figures = review.content["figures"]
    totals = figures["totals"]

    def known(name: str) -> Decimal | None:
        return Decimal(totals[name]) if totals[name] is not None else None

    return ReviewLine(
        review=review,
        period=figures["period"]["label"],
        per_money=known("per_money"),
        change=known("change"),
        spend=Decimal(totals["spend"]),
        value=known("confirmed_value"),
        signed=signed,
        asked=len(review.content["signers"]),
        corrections=notes,
    )
