"""A replay as a table: every alert, every time the limit acts, every day."""

from zoneinfo import ZoneInfo

from budgets.reports.replay import Acted, Fire, Replay
from budgets.reports.rule_words import rule_text
from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.periods import zone_of

_COLUMNS = (
    "line", "day", "at", "currency", "spent", "blocked", "rule", "told", "verdict", "why", "acts_at", "loop_stopped",
    "held_back", "outcomes_waiting",
)  # fmt: skip


def replay_csv(replay: Replay) -> bytes:
    """Return one line for each day, then for each alert, then for each time the limit is reached."""
    currency, zone = replay.account.currency, zone_of(replay.account.timezone)
    days: list[list[object]] = [
        ["day", one.day, "", currency, one.spent, one.blocked, *[""] * 8] for one in replay.days
    ]
    alerts = [_alert(fire, currency, zone) for fire in replay.fires]
    return write_rows(_COLUMNS, [*days, *alerts, *(_limit(one, currency, zone) for one in replay.acted)])


def _alert(fire: Fire, currency: str, zone: ZoneInfo) -> list[object]:
    at = fire.at.astimezone(zone).isoformat(timespec="seconds")
    told = "yes" if fire.is_told else "no"
    return [
        "alert", fire.day, at, currency, "", "", rule_text(fire.kind, fire.value, currency), told, fire.verdict,
        fire.why, "", "", "", "",
    ]  # fmt: skip


def _limit(acted: Acted, currency: str, zone: ZoneInfo) -> list[object]:
    reached = acted.reached_at.astimezone(zone).isoformat(timespec="seconds")
    acts = acted.acts_at.astimezone(zone).isoformat(timespec="seconds") if acted.acts_at else ""
    return [
        "limit", acted.day, reached, currency, acted.spent, acted.loop_stopped + acted.held_back, "", "",
        acted.verdict, acted.about, acts, acted.loop_stopped, acted.held_back, acted.waiting,
    ]  # fmt: skip
