"""Payments that failed or arrived are typed entries of the timeline."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0007_incentive_disputes")]

    operations = [
        migrations.AlterField(
            model_name="timelineentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("call", "Call"),
                    ("meeting", "Meeting"),
                    ("email", "E-mail"),
                    ("note", "Note"),
                    ("review", "Value review"),
                    ("unpaid", "Payment failed"),
                    ("paid", "Payment arrived"),
                ],
                default="call",
                max_length=8,
            ),
        ),
    ]
