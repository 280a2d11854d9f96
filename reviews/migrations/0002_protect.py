"""Row-level security of the book: all of it is the vendor's own, but for tasks that are shared with the customer."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import append_only, protect, tie_to

# Rows that belong to a workflow, a run or an entry belong to the same account as it does.
_TIES = {
    "reviews_signal": {"workflow_id": "usage_workflow"},
    "reviews_playrun": {"workflow_id": "usage_workflow"},
    "reviews_playevent": {"run_id": "reviews_playrun"},
    "reviews_task": {"run_id": "reviews_playrun"},
    "reviews_attendance": {"entry_id": "reviews_timelineentry", "contact_id": "reviews_contact"},
    "reviews_costproposal": {"workflow_id": "usage_workflow"},
}
_OF_ACCOUNT = (
    "reviews_accountmetrics",
    "reviews_healthday",
    "reviews_healthoverride",
    "reviews_signal",
    "reviews_playrun",
    "reviews_playevent",
    "reviews_contact",
    "reviews_timelineentry",
    "reviews_attendance",
    "reviews_queuesnooze",
    "reviews_renewalcall",
    "reviews_lossevidence",
    "reviews_costproposal",
)
_OF_ORGANIZATION = (
    "reviews_healthrecipe",
    "reviews_recipetrial",
    "reviews_play",
    "reviews_playversion",
    "reviews_savedview",
    "reviews_cover",
    "reviews_staffhours",
    "reviews_bookterms",
)
_KEYS = """
ALTER TABLE reviews_timelineentry ADD CONSTRAINT entry_in_account UNIQUE (organization_id, account_id, id);
ALTER TABLE reviews_contact ADD CONSTRAINT contact_in_account UNIQUE (organization_id, account_id, id);
ALTER TABLE reviews_play ADD CONSTRAINT play_in_organization UNIQUE (organization_id, id);
ALTER TABLE reviews_playversion ADD CONSTRAINT play_version_in_organization UNIQUE (organization_id, id);
ALTER TABLE reviews_healthrecipe ADD CONSTRAINT health_recipe_in_organization UNIQUE (organization_id, id);
ALTER TABLE reviews_lossevidence ADD CONSTRAINT loss_evidence_is_a_number CHECK (amount_a_month <> 'NaN');
ALTER TABLE reviews_costproposal ADD CONSTRAINT cost_proposal_is_a_number CHECK (saving_a_month <> 'NaN');
ALTER TABLE reviews_accountmetrics SET (fillfactor = 80);
"""
_SHARED_TASKS = """
CREATE POLICY shared ON reviews_task AS RESTRICTIVE
    USING (is_shared OR current_setting('app.account', true) = 'all');
"""


def _tie(table: str, parent: str, column: str) -> str:
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_account FOREIGN KEY (organization_id, account_id, {column})"
        f" REFERENCES {parent} (organization_id, account_id, id);"
    )


class Migration(migrations.Migration):
    dependencies = [("reviews", "0001_the_book"), ("usage", "0006_protect_billing")]

    operations = [
        *(protect(table, staff_only=True) for table in _OF_ACCOUNT),
        protect("reviews_task"),
        *(protect(table, account=None, staff_only=True) for table in _OF_ORGANIZATION),
        *(
            append_only(table, settings.APP_ROLE)
            for table in ("reviews_playversion", "reviews_playevent", "reviews_renewalcall")
        ),
        migrations.RunSQL(_KEYS, migrations.RunSQL.noop),
        migrations.RunSQL(
            "".join(_tie(table, parent, column) for table, ties in _TIES.items() for column, parent in ties.items())
            + tie_to("reviews_play", "reviews_playversion", "play_id")
            + tie_to("reviews_play", "reviews_playrun", "play_id")
            + tie_to("reviews_playversion", "reviews_playrun", "version_id")
            + tie_to("reviews_healthrecipe", "reviews_recipetrial", "recipe_id")
            + tie_to("reviews_healthrecipe", "reviews_healthday", "recipe_id"),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(_SHARED_TASKS, "DROP POLICY shared ON reviews_task;"),
    ]
