"""Row-level security of plans, outcomes, reviews and expansion; what is published or answered is only ever added."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import append_only, protect

_OF_ACCOUNT = (
    "reviews_laddercard",
    "reviews_gatetick",
    "reviews_rungmove",
    "reviews_adoptionplan",
    "reviews_objective",
    "reviews_milestone",
    "reviews_milestoneneed",
    "reviews_plancomment",
    "reviews_outcometerms",
    "reviews_outcomeanswer",
    "reviews_valuereview",
    "reviews_reviewsignature",
    "reviews_reviewcomment",
    "reviews_reviewcorrection",
    "reviews_candidate",
)
_OF_STAFF = ("reviews_reviewdraft", "reviews_candidatestep")
# A row belongs to the same account as what it is about.
_PARENTS = (
    "reviews_adoptionplan",
    "reviews_objective",
    "reviews_milestone",
    "reviews_outcometerms",
    "reviews_candidate",
)
_TIES = {
    "reviews_laddercard": {"workflow_id": "usage_workflow"},
    "reviews_gatetick": {"workflow_id": "usage_workflow"},
    "reviews_rungmove": {"workflow_id": "usage_workflow"},
    "reviews_objective": {"workflow_id": "usage_workflow", "plan_id": "reviews_adoptionplan"},
    "reviews_milestone": {
        "workflow_id": "usage_workflow",
        "plan_id": "reviews_adoptionplan",
        "objective_id": "reviews_objective",
    },
    "reviews_milestoneneed": {"milestone_id": "reviews_milestone", "needs_id": "reviews_milestone"},
    "reviews_plancomment": {"plan_id": "reviews_adoptionplan", "milestone_id": "reviews_milestone"},
    "reviews_planlink": {"plan_id": "reviews_adoptionplan"},
    "reviews_outcometerms": {"workflow_id": "usage_workflow"},
    "reviews_outcomeanswer": {"terms_id": "reviews_outcometerms"},
    "reviews_reviewdraft": {"published_id": "reviews_valuereview"},
    "reviews_valuereview": {"before_id": "reviews_valuereview"},
    "reviews_reviewsignature": {"review_id": "reviews_valuereview"},
    "reviews_reviewcomment": {"review_id": "reviews_valuereview"},
    "reviews_reviewcorrection": {"review_id": "reviews_valuereview"},
    "reviews_candidate": {"workflow_id": "usage_workflow"},
    "reviews_candidatestep": {"candidate_id": "reviews_candidate"},
}
_SHARED = ("reviews_objective", "reviews_milestone", "reviews_plancomment", "reviews_candidate")
_APPEND_ONLY = (
    "reviews_ladderrules",
    "reviews_outcometerms",
    "reviews_outcomeanswer",
    "reviews_valuereview",
    "reviews_reviewsignature",
    "reviews_reviewcomment",
    "reviews_reviewcorrection",
    "reviews_candidatestep",
)
_STAFF = "current_setting('app.account', true) = 'all'"


def _key(table: str) -> str:
    return f"ALTER TABLE {table} ADD CONSTRAINT {table}_in_account UNIQUE (organization_id, account_id, id);"


def _tie(table: str, parent: str, column: str) -> str:
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_account FOREIGN KEY (organization_id, account_id, {column})"
        f" REFERENCES {parent} (organization_id, account_id, id);"
    )


class Migration(migrations.Migration):
    dependencies = [("reviews", "0005_value")]

    operations = [
        *(protect(table) for table in _OF_ACCOUNT),
        *(protect(table, staff_only=True) for table in _OF_STAFF),
        # Whoever holds a link's secret may read the link, and nothing else by it.
        protect("reviews_planlink", staff_only=True, also="token_hash = NULLIF(current_setting('app.token', true), '')"),
        protect("reviews_ladderrules", account=None),
        *(protect(table, account=None, staff_only=True) for table in ("reviews_plantemplate", "reviews_expansioncapacity")),
        *(append_only(table, settings.APP_ROLE) for table in _APPEND_ONLY),
        migrations.RunSQL("".join(_key(table) for table in _PARENTS), migrations.RunSQL.noop),
        migrations.RunSQL(
            "".join(_tie(table, parent, column) for table, ties in _TIES.items() for column, parent in ties.items()),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "".join(f"CREATE POLICY shared ON {table} AS RESTRICTIVE USING (is_shared OR {_STAFF});" for table in _SHARED)
            + f"CREATE POLICY shared ON reviews_adoptionplan AS RESTRICTIVE USING (state <> 'draft' OR {_STAFF});",
            "".join(f"DROP POLICY shared ON {table};" for table in (*_SHARED, "reviews_adoptionplan")),
        ),
    ]
