"""Row-level security of budgets, alerts and the outbox; what was decided, told and tried is never rewritten."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import append_only, protect, tie_to

# Rows that belong to a budget, an alert or a workflow belong to the same account as it does.
_TIES = {
    "budgets_budget": {"workflow_id": "usage_workflow", "parent_id": "budgets_budget"},
    "budgets_budgetversion": {"budget_id": "budgets_budget"},
    "budgets_budgetrule": {"version_id": "budgets_budgetversion"},
    "budgets_limit": {"budget_id": "budgets_budget"},
    "budgets_limitstate": {"budget_id": "budgets_budget", "limit_id": "budgets_limit"},
    "budgets_limitevent": {"budget_id": "budgets_budget", "limit_id": "budgets_limit"},
    "budgets_anomaly": {"workflow_id": "usage_workflow"},
    "budgets_alert": {
        "budget_id": "budgets_budget",
        "version_id": "budgets_budgetversion",
        "anomaly_id": "budgets_anomaly",
        "workflow_id": "usage_workflow",
        "bundled_into_id": "budgets_alert",
    },
    "budgets_alertevent": {"alert_id": "budgets_alert"},
    "budgets_forgiveness": {"alert_id": "budgets_alert"},
    "budgets_route": {"budget_id": "budgets_budget"},
}
_KEYS = """
ALTER TABLE budgets_limit ADD CONSTRAINT limit_in_account UNIQUE (organization_id, account_id, id);
ALTER TABLE budgets_destination ADD CONSTRAINT destination_in_organization UNIQUE (organization_id, id);
ALTER TABLE budgets_alert ADD CONSTRAINT alert_in_organization UNIQUE (organization_id, id);
ALTER TABLE budgets_limitstate SET (fillfactor = 70);
ALTER TABLE budgets_delivery SET (fillfactor = 70);
ALTER TABLE budgets_alert ADD CONSTRAINT alert_threshold_is_a_number CHECK (threshold <> 'NaN');
ALTER TABLE budgets_budgetversion ADD CONSTRAINT budget_amount_is_a_number CHECK (amount <> 'NaN');
ALTER TABLE budgets_budgetrule ADD CONSTRAINT budget_rule_is_a_number CHECK (value <> 'NaN');
"""
# What staff write among themselves, and what was sent to them, is not the customer's to read.
_INTERNAL = """
CREATE POLICY internal ON budgets_alertevent AS RESTRICTIVE FOR SELECT
    USING (NOT is_internal OR current_setting('app.account', true) = 'all');
CREATE POLICY internal ON budgets_delivery AS RESTRICTIVE FOR SELECT
    USING (NOT is_internal OR current_setting('app.account', true) = 'all');
"""


def _tie(table: str, parent: str, column: str) -> str:
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_account FOREIGN KEY (organization_id, account_id, {column})"
        f" REFERENCES {parent} (organization_id, account_id, id);"
    )


class Migration(migrations.Migration):
    dependencies = [("budgets", "0005_budgets_and_alerts"), ("usage", "0006_protect_billing")]

    operations = [
        *(protect(table) for table in (*_TIES, "budgets_alertterms")),
        protect("budgets_destination"),
        protect("budgets_notificationwishes"),
        protect("budgets_delivery"),
        protect("budgets_deliveryattempt"),
        *(
            append_only(table, settings.APP_ROLE)
            for table in (
                "budgets_budgetversion",
                "budgets_budgetrule",
                "budgets_limit",
                "budgets_limitevent",
                "budgets_alertevent",
                "budgets_deliveryattempt",
            )
        ),
        migrations.RunSQL(_KEYS, migrations.RunSQL.noop),
        migrations.RunSQL(
            "".join(_tie(table, parent, column) for table, ties in _TIES.items() for column, parent in ties.items())
            + tie_to("usage_meter", "budgets_budget", "meter_id")
            + tie_to("budgets_commit", "budgets_forgiveness", "commit_id")
            + tie_to("budgets_destination", "budgets_route", "destination_id")
            + tie_to("budgets_destination", "budgets_delivery", "destination_id")
            + tie_to("budgets_alert", "budgets_delivery", "alert_id")
            + tie_to("budgets_delivery", "budgets_deliveryattempt", "delivery_id"),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            _INTERNAL,
            "DROP POLICY internal ON budgets_alertevent; DROP POLICY internal ON budgets_delivery;",
        ),
    ]
