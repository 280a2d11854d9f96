"""What happened: meters, workflows, rate cards, raw events and what the tick and settlement make of them."""

from usage.models.billing import Adjustment, BillingPeriod, RatedDay, Settlement
from usage.models.catalog import Meter, Workflow
from usage.models.events import (
    MAX_FAILURES,
    Correction,
    Event,
    EventKey,
    IngestBatch,
    QuarantinedEvent,
    RejectedEvent,
)
from usage.models.fields import money_field, quantity_field, sum_field
from usage.models.imports import (
    WORKING,
    BadRow,
    ImportChange,
    ImportChunk,
    ImportRow,
    ImportSum,
    UsageImport,
)
from usage.models.rates import Price, RateCard, RateCardVersion, VendorCost
from usage.models.sums import AccountDay, TouchedDay, UniqueValue, UsageDay, UsageHour, UsageSum

__all__ = [
    "MAX_FAILURES",
    "WORKING",
    "AccountDay",
    "Adjustment",
    "BadRow",
    "BillingPeriod",
    "Correction",
    "Event",
    "EventKey",
    "ImportChange",
    "ImportChunk",
    "ImportRow",
    "ImportSum",
    "IngestBatch",
    "Meter",
    "Price",
    "QuarantinedEvent",
    "RateCard",
    "RateCardVersion",
    "RatedDay",
    "RejectedEvent",
    "Settlement",
    "TouchedDay",
    "UniqueValue",
    "UsageDay",
    "UsageHour",
    "UsageImport",
    "UsageSum",
    "VendorCost",
    "Workflow",
    "money_field",
    "quantity_field",
    "sum_field",
]
