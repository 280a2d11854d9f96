"""When a message is tried again, and until when quiet hours hold it. Pure: no clock, no database."""

from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

# The schedule of Standard Webhooks: after the first failure in 5 seconds, and so on, 76 hours in all.
RETRY_AFTER = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER = 0.2
SATURDAY = 5


def retry_at(failed: int, now: datetime, chance: float) -> datetime | None:
    """Return when to try again after `failed` failures, `chance` (0 to 1) spreading it by ±20 %; None: give up."""
    if failed > len(RETRY_AFTER):
        return None
    return now + RETRY_AFTER[failed - 1] * (1 - JITTER + 2 * JITTER * chance)


def quiet_until(
    now: datetime, zone: ZoneInfo, start: time | None, end: time | None, weekends: bool
) -> datetime | None:
    """Return the end (UTC) of the quiet time that `now` lies in, or None.

    Quiet hours are of the person's clock and may pass midnight; a weekend is quiet as a whole if wished. An end that
    the clock skips in spring is the moment after the gap; of one that it shows twice, the first.
    """
    moment, held = now, False
    for _ in range(5):  # a night may end on a Saturday, and a weekend in a night
        later = _one_until(moment.astimezone(zone), zone, start, end, weekends)
        if later is None or later <= moment:
            break
        moment, held = later, True
    return moment if held else None


def _one_until(
    local: datetime, zone: ZoneInfo, start: time | None, end: time | None, weekends: bool
) -> datetime | None:
    if weekends and local.weekday() >= SATURDAY:
        return _moment(local, 7 - local.weekday(), time(0), zone)
    if start is None or end is None or start == end:
        return None
    clock = local.time()
    if start < end:
        return _moment(local, 0, end, zone) if start <= clock < end else None
    if clock >= start:
        return _moment(local, 1, end, zone)
    return _moment(local, 0, end, zone) if clock < end else None


def _moment(local: datetime, days: int, at: time, zone: ZoneInfo) -> datetime:
    naive = datetime.combine(local.date() + timedelta(days=days), at)
    return naive.replace(tzinfo=zone).astimezone(timezone.utc)
