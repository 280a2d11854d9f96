"""How long the draft, the publishing and the PDF of a large value review take.

    python -m benchmarks.review [--json] [--workflows 40] [--months 12]

Makes a private PostgreSQL with one account of 40 workflows and 24 months of days (the year of the review and the year
it is compared with), a commit drawn day by day, a forecast, and confirmed values. As the application's role, with
row-level security: `draft_s` is making the draft with all its figures, `publish_s` freezing it, `pdf_s` setting it on
paper, each the worst of five; publishing a review is draft and publish together. The bridge of every draft is checked
to add up to the cent.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg2

from benchmarks.book import _ACCOUNT_DAYS, _BALANCES, _COMMITS, _CONTRACTS, _LEDGER
from benchmarks.harness import Json, running_stack, say, setup_django

LIMITS = {"publish_total_s": 2, "pdf_s": 2}
TIMES = 5

_WORKFLOWS = """
INSERT INTO usage_workflow (id, organization_id, account_id, key, name, stage, outcome_unit, success_target)
SELECT gen_random_uuid(), organization_id, id, 'work-' || number, 'Work ' || number, 'production', 'outcome', 0.95
FROM accounts_account CROSS JOIN generate_series(1, %(workflows)s) AS number
"""
_DAYS = """
INSERT INTO usage_day (organization_id, account_id, meter_id, workflow_id, "group", day, quantity, events, finished,
    successes, outcomes, last_event_at, spend)
SELECT work.organization_id, work.account_id, %(meter)s, work.id, team, %(today)s - ago, 1000, 50, 50,
    50 - floor(random() * 5), 40 + floor(random() * 9), %(today)s - ago, round((5 + 20 * random())::numeric, 4)
FROM usage_workflow AS work CROSS JOIN generate_series(1, %(days)s) AS ago
CROSS JOIN unnest(ARRAY['{"team": "a"}', '{"team": "b"}']) AS team
"""
_VALUES = """
WITH terms AS (
    INSERT INTO reviews_outcometerms (id, organization_id, account_id, workflow_id, definition, lag_days, value_each,
        currency, basis, proposed_at)
    SELECT gen_random_uuid(), organization_id, account_id, id, 'Done', 2, 0.42, 'USD', '', now() - interval '1 year'
    FROM usage_workflow RETURNING id, organization_id, account_id
)
INSERT INTO reviews_outcomeanswer (id, organization_id, account_id, terms_id, answer, by_id, by_title, at, note)
SELECT gen_random_uuid(), organization_id, account_id, id, 'confirmed', %(user)s, '', now() - interval '1 year', ''
FROM terms
"""


def make_world(workflows: int, days: int, today: date, owner_url: str) -> Any:
    """Return the account with its history, and the id of a CSM."""
    from django.db import transaction

    from accounts.models import Account
    from tests.factories import make_member, make_meter, make_organization

    with transaction.atomic():
        organization = make_organization("Benchmark")
        member, meter = make_member(organization), make_meter(organization)
        account = Account.objects.create(organization=organization, name="Customer", key="customer", csm=member.user)
    named = {"meter": str(meter.pk), "today": today, "days": days, "workflows": workflows, "user": str(member.user_id)}
    connection = psycopg2.connect(owner_url.rpartition("/")[0] + "/benchmark")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off; SELECT setseed(0.5)")
        for statement in (_WORKFLOWS, _DAYS, _ACCOUNT_DAYS, _CONTRACTS, _COMMITS, _LEDGER, _BALANCES, _VALUES):
            cursor.execute(statement, named)
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    return account, member.user_id


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds an act takes, and what it gives."""
    start = time.perf_counter()
    found = act()
    return time.perf_counter() - start, found


def check(figures: dict[str, Any]) -> None:
    """Raise unless the bridge adds up to the cent, by part and by workflow."""
    bridge = figures["bridge"]
    change = Decimal(bridge["closing"]) - Decimal(bridge["opening"])
    parts = sum(Decimal(part["amount"]) for part in bridge["parts"])
    rows = sum(Decimal(row["total"]) for row in bridge["workflows"])
    if not change == parts == rows:
        raise RuntimeError(f"the bridge does not add up: {change}, {parts} by part, {rows} by workflow")


def measure(workflows: int, months: int, *, quiet: bool = False) -> Json:
    """All figures, in seconds."""
    now = datetime.now(UTC)
    with running_stack() as stack:
        setup_django()
        import consumption_cs.urls  # noqa: F401  a web process has read its addresses before the first request
        from accounts.models import Role
        from budgets.actions.forecast import make_runs
        from consumption_cs.lib.periods import add_months
        from consumption_cs.lib.tenancy import Viewer, act_as
        from reviews.actions.value_reviews import make_draft, publish
        from reviews.exports.review_pdf import review_pdf

        say(f"review: {workflows} workflows, {months} months", quiet=quiet)
        account, csm = make_world(workflows, 2 * months * 31 + 62, now.date(), stack.postgres.url)
        make_runs(account.organization_id, now)
        viewer = Viewer(account.organization_id, None, Role.CSM, csm)
        end = now.date().replace(day=1)
        start, before = add_months(end, -months), add_months(end, -2 * months)
        took: dict[str, list[float]] = {"draft_s": [], "publish_s": [], "pdf_s": [], "publish_total_s": []}
        for _ in range(TIMES):
            with act_as(viewer):
                drafted, draft = timed(partial(make_draft, viewer, account, start, end, now, before, start))
            check(draft.figures)
            with act_as(viewer):
                published, review = timed(partial(publish, viewer, draft, now))
            printed, pdf = timed(partial(review_pdf, review))
            for name, seconds in zip(took, (drafted, published, printed, drafted + published), strict=True):
                took[name].append(seconds)
        rows = len(draft.figures["success"])
    if rows != workflows:
        raise RuntimeError(f"{rows} workflows are in the review, of {workflows}")
    figures: Json = {name: round(max(seconds), 3) for name, seconds in took.items()}
    return figures | {
        "workflows": rows, "days": (end - start).days, "pdf_kb": round(len(pdf) / 1024),
        "load_average": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--workflows", type=int, default=40)
    parser.add_argument("--months", type=int, default=12)
    options = parser.parse_args()
    figures = measure(options.workflows, options.months, quiet=options.json)
    figures |= {f"{name}_limit": limit for name, limit in LIMITS.items()}
    figures["ok"] = all(figures[name] <= limit for name, limit in LIMITS.items())
    print(json.dumps(figures))
    raise SystemExit(not figures["ok"])


if __name__ == "__main__":
    main()
