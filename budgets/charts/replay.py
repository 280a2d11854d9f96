"""A replay as pages show it: sentences, the chart with its lanes of alerts, what the limit did, other limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from budgets.reports import replay_table_words as table_words
from budgets.reports import replay_words as words
from budgets.reports.replay import Acted, Fire, Replay, SweepRow
from budgets.reports.replayed import DAYS
from budgets.reports.rule_words import rule_text
from consumption_cs.lib.display import counted, money_text
from consumption_cs.lib.figures import Dot, Figure, Lane, Mark, Numbers, Rule, Series
from consumption_cs.lib.periods import zone_of
from usage.reports.overview_words import Fact, short_date

MOST_MARKS = 3
APART = timedelta(days=12)  # so that their words do not meet
MOST_ROWS = 10
_VERDICTS = {"useful": "Useful", "false": "False alarm", "open": "Too early to say"}


@dataclass(frozen=True, slots=True)
class ActedRow:
    """A line of what the limit would have done; every cell is finished text."""

    day: str
    about: str
    spent: str
    times: str
    loop: str
    held: str
    is_held: bool
    verdict: str
    tone: str


@dataclass(frozen=True, slots=True)
class OtherLimit:
    """A line of the comparison with other limits."""

    amount: str
    note: str
    acts: int
    loop: str
    held: str
    is_held: bool
    is_tried: bool


@dataclass(frozen=True, slots=True)
class ShownReplay:
    """What budgets/_replay.html shows, as `replay`. `rest`: what is not in the rows of what the limit did."""

    replay: Replay
    said: words.Sentence
    lead: str
    span: str
    facts: Sequence[Fact]
    chart: Figure | None
    acted: Sequence[ActedRow]
    total: ActedRow | None
    rest: str
    limit_title: str
    limit_text: str
    others: Sequence[OtherLimit]
    others_headline: str
    others_note: str
    notes: Sequence[str]

    @property
    def text(self) -> str:
        """The headline without its marks."""
        return words.plain(self.said)


def shown_replay(replay: Replay, csv_url: str = "") -> ShownReplay:
    """Return a replay with its words, chart and tables. `csv_url`: where the download of this replay is."""
    rows = sorted(replay.acted, key=lambda one: one.loop_stopped + one.held_back, reverse=True)[:MOST_ROWS]
    notes = list(replay.not_replayed)
    if replay.is_ready and replay.hours_from and replay.hours_from > replay.first and replay.acted:
        notes.append(f"Before {short_date(replay.hours_from)} times are estimated from the usual shape of a day.")
    last = replay.days[-1].day if replay.days else replay.first
    return ShownReplay(
        replay=replay,
        said=words.headline(replay),
        lead=words.lead(replay),
        span=f"Replay of {short_date(replay.first)} – {short_date(last)}, {DAYS} closed days",
        facts=words.facts(replay),
        chart=replay_figure(replay, csv_url) if replay.is_ready else None,
        acted=[_acted_row(replay, one) for one in sorted(rows, key=lambda one: one.day)],
        total=_total(replay) if len(replay.acted) > 1 else None,
        rest=f"{counted(len(replay.acted) - len(rows), 'more line')} in the download"
        if len(replay.acted) > len(rows)
        else "",
        limit_title=_limit_title(replay),
        limit_text=f"{table_words.limit_text(replay.proposal)} Times of {replay.account.timezone}.",
        others=[_other(replay, row) for row in replay.sweep] if replay.is_ready else [],
        others_headline=table_words.sweep_headline(replay),
        others_note=table_words.loop_note(replay),
        notes=notes,
    )


def replay_figure(replay: Replay, csv_url: str = "") -> Figure:
    """Bars of daily spend with the blocked part, the limit, and a lane of dots for each kind of rule."""
    currency, days = replay.account.currency, [one.day for one in replay.days]
    series = [Series("Goes through", days, [one.through for one in replay.days])]
    if any(one.blocked for one in replay.days):
        blocked = [one.blocked or None for one in replay.days]
        series.append(Series("Blocked by the limit", days, blocked, tone="flag"))
    lanes = _lanes(replay)
    rings = any(dot.is_ring for lane in lanes for dot in lane.dots)
    limit = replay.proposal.limit_amount
    rules = []
    if limit is not None and replay.proposal.period == "day":
        rules = [Rule(f"Daily limit you are trying, {words.whole_money(limit, currency)}", y=limit, tone="bad")]
    finding = words.chart_headline(replay)
    return Figure(
        id="replay-chart",
        headline=finding,
        sub=f"Spend a day in {currency} at the contract rate, and when each rule would have told. "
        f"Days of {replay.account.timezone}, through {short_date(days[-1])}.",
        summary=f"Bar chart of the spend of {DAYS} days. {finding}. A table below has the numbers.",
        series=series,
        marks=_marks(replay),
        rules=rules,
        lanes=lanes,
        dot_names=("Useful alert" if lanes else "", "False alarm" if rings else ""),
        currency=currency,
        numbers=_numbers(replay),
        csv_url=csv_url,
        size="tall",
    )


def _rule(fire: Fire, currency: str) -> str:
    said = rule_text(fire.kind, fire.value, currency)
    return said[:1].upper() + said[1:]


def _lanes(replay: Replay) -> list[Lane]:
    told: dict[str, list[Dot]] = {words.KINDS[kind]: [] for kind, _ in replay.proposal.rules if kind in words.KINDS}
    for fire in replay.told:
        told[words.KINDS[fire.kind]].append(Dot(fire.day, _dot_text(replay, fire), fire.verdict == "false"))
    order = list(dict.fromkeys(words.KINDS.values()))
    return [Lane(name, told[name], "no alerts") for name in order if name in told]


def _dot_text(replay: Replay, fire: Fire) -> str:
    rule = _rule(fire, replay.account.currency)
    return f"{short_date(fire.day)}: {rule}. {_verdict_text(fire)}"


def _marks(replay: Replay) -> list[Mark]:
    """What the limit did, on the days on which it did most; the most first."""
    currency = replay.account.currency
    spent = {one.day: one.spent for one in replay.days}
    found: list[Mark] = []
    taken: list[date] = []
    for one in sorted(replay.acting, key=lambda one: one.loop_stopped + one.held_back, reverse=True):
        is_free = all(abs(one.day - day) >= APART for day in taken) and len(taken) < MOST_MARKS
        if is_free and one.loop_stopped + one.held_back > 0:
            taken.append(one.day)
            is_loop = one.loop_stopped >= one.held_back
            amount = words.whole_money(one.loop_stopped if is_loop else one.held_back, currency)
            found.append(Mark(one.day, spent.get(one.day), f"{amount} {'stopped' if is_loop else 'held back'}"))
    return found


def _numbers(replay: Replay) -> Numbers:
    currency = replay.account.currency
    rows = [[short_date(fire.day), _rule(fire, currency), _verdict_text(fire)] for fire in replay.told]
    if rows:
        return Numbers(["Day", "Rule", "Outcome"], rows)
    days = [
        [short_date(one.day), money_text(one.spent, currency), money_text(one.blocked, currency)]
        for one in replay.days
    ]
    return Numbers(["Day", "Spent", "Blocked"], days)


def _verdict_text(fire: Fire) -> str:
    said = _VERDICTS[fire.verdict]
    return f"{said}: {fire.why}" if fire.why else said


def _acted_row(replay: Replay, acted: Acted) -> ActedRow:
    currency, zone = replay.account.currency, zone_of(replay.account.timezone)
    verdict, tone = words.VERDICTS[acted.verdict]
    said = [acted.about] if acted.about else []
    if acted.waiting:
        said.append(f"{counted(acted.waiting, 'outcome')} would wait")
    day = short_date(acted.day)
    about = replay.hours_from is not None and acted.day < replay.hours_from
    return ActedRow(
        day=day if acted.last_day == acted.day else f"{day} – {short_date(acted.last_day)}",
        about=". ".join(said),
        spent=words.whole_money(acted.spent, currency),
        times=f"{'about ' if about else ''}{_times(acted, zone)}",
        loop=words.whole_money(acted.loop_stopped, currency),
        held=words.whole_money(acted.held_back, currency),
        is_held=acted.held_back > 0,
        verdict=verdict or ("Nothing blocked" if acted.acts_at else "Never acts"),
        tone=tone,
    )


def _times(acted: Acted, zone: ZoneInfo) -> str:
    reached = acted.reached_at.astimezone(zone)
    if acted.acts_at is None:
        return f"{reached:%H:%M}"
    return f"{reached:%H:%M} → {_clock(acted.acts_at.astimezone(zone), reached)}"


def _clock(local: datetime, reached: datetime) -> str:
    return f"{local:%H:%M}" if local.date() == reached.date() else f"{short_date(local.date())}, {local:%H:%M}"


def _total(replay: Replay) -> ActedRow:
    currency = replay.account.currency
    right = sum(one.verdict == "right" for one in replay.acting)
    noun = words.NOUNS.get(replay.proposal.period, "period")
    return ActedRow(
        day=counted(len(replay.acted), noun),
        about="",
        spent=words.whole_money(sum((one.spent for one in replay.acted), Decimal(0)), currency),
        times="",
        loop=words.whole_money(replay.loop_stopped, currency),
        held=words.whole_money(replay.held_back, currency),
        is_held=False,
        verdict=f"{right} of {len(replay.acting)} right" if replay.acting else "",
        tone="",
    )


def _limit_title(replay: Replay) -> str:
    limit = replay.proposal.limit_amount
    if limit is None or not replay.acted:
        return ""
    amount = words.whole_money(limit, replay.account.currency)
    return f"What the {amount} limit would have done" if replay.proposal.blocks else f"When {amount} would be reached"


def _other(replay: Replay, row: SweepRow) -> OtherLimit:
    currency = replay.account.currency
    return OtherLimit(
        amount=words.whole_money(row.amount, currency),
        note=table_words.sweep_note(row),
        acts=row.acts,
        loop=words.whole_money(row.loop_stopped, currency),
        held=words.whole_money(row.held_back, currency),
        is_held=row.held_back > 0,
        is_tried=row.is_tried,
    )
