"""Made-up figures for the style guide."""

from decimal import Decimal
from typing import Any

DAILY_SPEND = [
    216, 430, 443, 454, 439, 447, 203, 219, 441, 455, 463, 450, 436, 207, 221, 444, 641, 460, 441, 429, 205, 96,
]  # fmt: skip

WORKFLOWS: list[dict[str, Any]] = [
    {
        "name": "Invoice OCR", "stage": "Production", "spend": Decimal(3412), "share": 1.0, "outcomes": 48160,
        "unit": "documents", "rate": 0.986, "low": 0.984, "high": 0.987, "price": Decimal("0.071"),
        "change": Decimal("-0.03"), "days": [3, 5, 2, 7, 5, 5, 8, 11, 8, 10],
    },
    {
        "name": "Claims triage", "stage": "Production", "spend": Decimal(2205), "share": 0.65, "outcomes": 6340,
        "unit": "claims", "rate": 0.948, "low": 0.942, "high": 0.953, "price": Decimal("0.348"),
        "change": Decimal("0.09"), "days": [2, 2, 3, 2, 2, 3, 3, 8, 4, 4],
    },
    {
        "name": "Lead enrichment, with a name that goes on for longer than anybody would wish", "stage": "Pilot",
        "spend": Decimal(590), "share": 0.17, "outcomes": 21, "unit": "leads", "rate": None, "low": None, "high": None,
        "price": None, "change": None, "days": [None, None, None, 1, 2, None, 2, 4, 4, 6],
    },
]  # fmt: skip
