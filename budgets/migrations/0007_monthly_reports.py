"""Reports count their tries and are sent once a month; subscriptions can rest."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("budgets", "0006_protect_alerts")]

    operations = [
        migrations.AddField("report", "tries", models.SmallIntegerField(default=0, db_default=0)),
        migrations.AddField("reportsubscription", "paused_at", models.DateTimeField(null=True)),
        migrations.AddConstraint(
            "report",
            models.UniqueConstraint(
                fields=["organization", "subscription", "as_of"],
                condition=Q(subscription__isnull=False),
                name="report_once_a_month",
            ),
        ),
    ]
