"""Disputes about lines of the incentive ledger: staff only, of one account, and only ever added."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import consumption_cs.lib.ids
from consumption_cs.lib.tenancy import append_only, protect

_TABLE = "reviews_incentivedispute"
# An answer belongs to the same account as the dispute that it answers.
_TIE = (
    f"ALTER TABLE {_TABLE} ADD CONSTRAINT {_TABLE}_answers_id_account FOREIGN KEY"
    f" (organization_id, account_id, answers_id) REFERENCES {_TABLE} (organization_id, account_id, id);"
)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_countries"),
        ("reviews", "0006_protect_value"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="IncentiveDispute",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=consumption_cs.lib.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("quarter_starts_on", models.DateField()),
                (
                    "step",
                    models.CharField(
                        choices=[("raised", "Disputed"), ("accepted", "Accepted"), ("declined", "Declined")],
                        default="raised",
                        max_length=8,
                    ),
                ),
                ("text", models.TextField()),
                ("line", models.JSONField(default=dict)),
                ("at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        editable=False, on_delete=django.db.models.deletion.PROTECT, to="accounts.account"
                    ),
                ),
                (
                    "answers",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="answered_by",
                        to="reviews.incentivedispute",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        editable=False, on_delete=django.db.models.deletion.PROTECT, to="accounts.organization"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["organization", "quarter_starts_on", "account"], name="incentive_dispute_quarter"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organization", "account", "id"), name="incentive_dispute_in_account"
                    ),
                    models.UniqueConstraint(
                        fields=("organization", "answers"), name="incentive_dispute_answered_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("text", ""), _negated=True), name="incentive_dispute_says_why"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("answers", None), ("step", "raised")),
                            models.Q(models.Q(("step", "raised"), _negated=True), ("answers__isnull", False)),
                            _connector="OR",
                        ),
                        name="incentive_dispute_answers_one",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("quarter_starts_on__day", 1), ("quarter_starts_on__month__in", (1, 4, 7, 10))
                        ),
                        name="incentive_dispute_of_a_quarter",
                    ),
                ],
            },
        ),
        protect(_TABLE, staff_only=True),
        append_only(_TABLE, settings.APP_ROLE),
        migrations.RunSQL(_TIE, f"ALTER TABLE {_TABLE} DROP CONSTRAINT {_TABLE}_answers_id_account;"),
    ]
