"""Row-level security, composite keys, and a ledger to which the application can only add."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import append_only, protect, tie_to

_TIES = {
    "budgets_commit": ("budgets_contract", "contract_id"),
    "budgets_commitchange": ("budgets_commit", "commit_id"),
    "budgets_ledgerentry": ("budgets_commit", "commit_id"),
}
_KEYS = """
ALTER TABLE budgets_contract ADD CONSTRAINT contract_in_organization UNIQUE (organization_id, id);
ALTER TABLE budgets_commit ADD CONSTRAINT commit_in_organization UNIQUE (organization_id, id);
ALTER TABLE budgets_ledgerentry ADD CONSTRAINT ledger_amount_is_a_number CHECK (amount <> 'NaN');
ALTER TABLE budgets_commitbalance SET (fillfactor = 70);
ALTER TABLE budgets_ledgerstate SET (fillfactor = 70);
"""


class Migration(migrations.Migration):
    dependencies = [("budgets", "0001_initial"), ("usage", "0006_protect_billing")]

    operations = [
        protect("budgets_contract"),
        protect("budgets_commit"),
        protect("budgets_commitchange"),
        protect("budgets_ledgerentry"),
        protect("budgets_commitbalance"),
        protect("budgets_ledgerstate"),
        protect("budgets_ledgercheck", account=None),
        append_only("budgets_ledgerentry", settings.APP_ROLE),
        append_only("budgets_commitchange", settings.APP_ROLE),
        append_only("budgets_ledgercheck", settings.APP_ROLE),
        migrations.RunSQL(_KEYS, migrations.RunSQL.noop),
        migrations.RunSQL(
            "".join(tie_to(parent, table, column) for table, (parent, column) in _TIES.items()),
            "".join(
                f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_tenant;" for table, (_, column) in _TIES.items()
            ),
        ),
    ]
