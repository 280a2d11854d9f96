from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0002_protect")]

    operations = [
        # Computed rows of a shape that nobody reads any more: the next look makes them anew.
        migrations.RunSQL("DELETE FROM reviews_accountmetrics", migrations.RunSQL.noop),
        migrations.RenameField("accountmetrics", "values", "numbers"),
        migrations.AddField("accountmetrics", "reasons", models.JSONField(default=dict)),
        migrations.AddField("accountmetrics", "inputs", models.JSONField(default=dict)),
    ]
