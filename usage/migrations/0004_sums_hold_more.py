"""Sums may have more digits than any single quantity: the largest ones must not stop the roll-up."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0003_waiting"),
    ]

    operations = [
        migrations.AlterField(
            model_name="accountday",
            name="outcomes",
            field=models.DecimalField(decimal_places=12, default=0, max_digits=60),
        ),
        migrations.AlterField(
            model_name="usageday",
            name="outcomes",
            field=models.DecimalField(decimal_places=12, default=0, max_digits=60),
        ),
        migrations.AlterField(
            model_name="usageday",
            name="quantity",
            field=models.DecimalField(decimal_places=12, max_digits=60),
        ),
        migrations.AlterField(
            model_name="usagehour",
            name="outcomes",
            field=models.DecimalField(decimal_places=12, default=0, max_digits=60),
        ),
        migrations.AlterField(
            model_name="usagehour",
            name="quantity",
            field=models.DecimalField(decimal_places=12, max_digits=60),
        ),
    ]
