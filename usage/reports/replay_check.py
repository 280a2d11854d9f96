"""Whether what a file holds is what was stored and what was counted, to the last digit."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum

from consumption_cs.lib.tenancy import Viewer
from usage.models import Event, Meter, UsageDay


@dataclass(frozen=True, slots=True)
class Difference:
    """An account whose sums are not the same; `stored` are its events from this source, `counted` its days."""

    account: str
    sent: Decimal
    stored: Decimal
    counted: Decimal


def compare_sums(viewer: Viewer, sent: Mapping[str, Decimal], source: str, meter: Meter) -> list[Difference]:
    """Compare the sums of a file, by account key, with the events of `source` and with the days of `meter`.

    Days hold what came from anywhere, so compare a meter that nothing else sends to. Empty: all is equal.
    """
    events = Event.objects.visible_to(viewer).filter(meter=meter, source=source)
    stored = dict(events.values_list("account__key").annotate(total=Sum("quantity")).order_by())
    days = UsageDay.objects.visible_to(viewer).filter(meter=meter)
    counted = dict(days.values_list("account__key").annotate(total=Sum("quantity")).order_by())
    nothing = Decimal(0)
    return [
        Difference(account, total, stored.get(account, nothing), counted.get(account, nothing))
        for account, total in sorted(sent.items())
        if not total == stored.get(account, nothing) == counted.get(account, nothing)
    ]
