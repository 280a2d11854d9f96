"""Prices have terms and belong to a version: what the flat price of before needed goes."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0006_protect_billing")]

    operations = [
        migrations.AlterField("price", "terms", models.JSONField()),
        migrations.AlterField(
            "price",
            "version",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="prices", to="usage.ratecardversion"
            ),
        ),
        migrations.RemoveConstraint(
            model_name="price",
            name="price_once_a_day",
        ),
        migrations.RemoveConstraint(
            model_name="price",
            name="price_not_negative",
        ),
        migrations.RemoveField(
            model_name="price",
            name="unit_price",
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                fields=("organization", "version", "meter"), name="price_once_a_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(
                condition=models.Q(("in_force", True)),
                fields=("organization", "meter", "account", "currency", "effective_on"),
                name="price_once_a_day",
                nulls_distinct=False,
                violation_error_message="This meter already has a price from that day on.",
            ),
        ),
    ]
