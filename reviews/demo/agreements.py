"""What the demo's customers agreed to: contracts with every kind of commit, as plain data. Times are days ago."""

from dataclasses import dataclass
from decimal import Decimal

YEAR = 365


@dataclass(frozen=True)
class Amendment:
    """A change of what a commit is worth, from a day on."""

    days_ago: int
    change: str
    reason: str


@dataclass(frozen=True)
class CommitPlan:
    """A commit from `starts` to `ends` days ago (below zero: ahead); `unit` "" is the account's currency."""

    name: str
    kind: str
    amount: str
    starts: int
    ends: int
    priority: int = 5
    unit: str = ""
    rate: str | None = None
    recurs_months: int | None = None
    rollover_most: str = "0"
    rollover_months: int = 0
    only: tuple[str, ...] = ()  # event types of meters
    without: tuple[str, ...] = ()
    amended: tuple[Amendment, ...] = ()
    cancelled: tuple[int, str] | None = None  # days ago, reason
    rolls_over: str = ""  # the name of the commit that takes what it leaves, made once that is known


@dataclass(frozen=True)
class ContractPlan:
    """The terms that commits stand under."""

    name: str
    starts: int
    days: int | None
    commits: tuple[CommitPlan, ...] = ()
    policy: str = "priority"
    overage_factor: str = "1"
    note: str = ""


def _year(name: str, amount: str, starts: int, **more: object) -> CommitPlan:
    return CommitPlan(name, "prepaid", amount, starts, starts - YEAR, **more)  # type: ignore[arg-type]


AGREEMENTS: dict[str, tuple[ContractPlan, ...]] = {
    "northwind": (
        ContractPlan(
            "Order form 2025",
            210 + YEAR,
            YEAR,
            (
                _year(
                    "Prepaid 2025",
                    "130000",
                    210 + YEAR,
                    rollover_most="15000",
                    rollover_months=3,
                ),
            ),
        ),
        ContractPlan(
            "Order form 2026",
            210,
            YEAR,
            (
                _year("Prepaid 2026", "97000", 210),
                CommitPlan("Launch credit", "promotional", "2500", 210, 120, priority=1),
                CommitPlan(
                    "Pilot pack",
                    "prepaid",
                    "6000",
                    60,
                    -120,
                    priority=7,
                    cancelled=(20, "The pilot became part of the order form, so the pack was refunded."),
                ),
            ),
            note="Prices of document pages as agreed in annex 2.",
        ),
    ),
    "helios": (
        ContractPlan(
            "Enterprise agreement",
            146,
            YEAR,
            (_year("Prepaid 2026", "120000", 146),),
            overage_factor="1.2",
            note="Overage at 1.2 times the contract rate.",
        ),
    ),
    "juniper": (
        ContractPlan(
            "Enterprise agreement",
            150,
            YEAR,
            (
                _year("Prepaid 2026", "45000", 150, rollover_most="10000", rollover_months=3),
                CommitPlan(
                    "Document trial",
                    "promotional",
                    "3000",
                    140,
                    50,
                    priority=1,
                    only=("doc.page",),
                    rolls_over="Document trial, second chance",
                ),
            ),
            note="Nothing was read in the document trial, so all of it expired; a part was given again.",
        ),
    ),
    "cobalt": (
        ContractPlan(
            "Monthly plan",
            210,
            YEAR,
            (
                CommitPlan(
                    "Monthly allowance",
                    "prepaid",
                    "6600",
                    210,
                    210 - YEAR,
                    recurs_months=1,
                    rollover_most="1500",
                    rollover_months=1,
                ),
            ),
            overage_factor="1.25",
            note="Up to 1,500 of what a month leaves can be used in the next.",
        ),
    ),
    "quanta": (
        ContractPlan(
            "Credit pack",
            210,
            YEAR,
            (CommitPlan("780,000 credits", "credit", "780000", 210, 210 - YEAR, unit="credits", rate="0.1"),),
            note="A credit is worth 0.10 pounds.",
        ),
    ),
    "orchid": (
        ContractPlan(
            "Starter agreement",
            25,
            YEAR,
            (
                _year("Prepaid", "12000", 25),
                CommitPlan("Onboarding credit", "promotional", "1000", 25, -65, priority=1),
            ),
        ),
    ),
    "meridian": (
        ContractPlan(
            "Enterprise agreement",
            210,
            YEAR,
            (
                _year(
                    "Prepaid 2026",
                    "95000",
                    210,
                    amended=(
                        Amendment(120, "20000", "A second product line was signed."),
                        Amendment(30, "-5000", "Caching lowered the use, and the commit with it."),
                    ),
                ),
            ),
        ),
    ),
    "lumen": (
        ContractPlan(
            "Retail agreement",
            210,
            YEAR,
            (
                _year("Prepaid", "52000", 210, without=("doc.page",)),
                CommitPlan("High season credit", "promotional", "4000", 100, -30, priority=9),
            ),
            policy="promotional_first",
        ),
    ),
    "vertex": (
        ContractPlan(
            "Annual plan",
            320,
            YEAR,
            (_year("Prepaid", "38000", 320),),
            overage_factor="1.5",
            note="Used up before its end: overage at 1.5 times the contract rate until it is renewed.",
        ),
    ),
    "pioneer": (ContractPlan("Pay as you go", 11, None),),
    "sakura": (ContractPlan("Annual plan", 210, YEAR, (_year("Prepaid", "5200000", 210),)),),
    "ganga": (
        ContractPlan(
            "Quarterly plan",
            210,
            YEAR,
            (CommitPlan("Quarterly allowance", "prepaid", "4500", 210, 210 - YEAR, recurs_months=3),),
        ),
    ),
    "fjord": (ContractPlan("Pay as you go", 210, YEAR),),
}

BILLING_DAYS = {"cobalt": 15, "sakura": 31, "vertex": 10}  # the others: the first

# event type → currency → what a unit costs the vendor. API calls in pounds are missing: the margin says so.
VENDOR_COSTS: dict[str, dict[str, str]] = {
    "llm.tokens": {"USD": "0.0000021", "EUR": "0.0000019", "GBP": "0.0000017", "AUD": "0.0000032"},
    "doc.page": {"USD": "0.0048", "EUR": "0.0044"},
    "api.call": {"USD": "0.0007", "EUR": "0.0006", "AUD": "0.001"},
    "voice.minute": {"EUR": "0.0092", "JPY": "1.45"},
}
# (account, workflow, event type) → a cost of its own: it runs on a larger model.
WORKFLOW_COSTS = {("helios", "dispatch-agent", "llm.tokens"): "0.0000026"}
COSTS_DAYS_AGO = 610

# The version of the price list that comes next: published with its effect shown, for the first of the month after.
NEXT_VERSION = {
    "api.call": {
        "model": "volume",
        "params": {
            "tiers": [
                {"up_to": "500000", "unit": "0.0021"},
                {"up_to": "2000000", "unit": "0.0018"},
                {"up_to": None, "unit": "0.0015"},
            ]
        },
    }
}
# The one that is still being thought about.
DRAFT = {"doc.page": {"model": "package", "params": {"size": "1000", "price": "12.50"}}}

SECOND_CHANCE = Decimal(1000)  # the most that a commit with `rolls_over` hands on
