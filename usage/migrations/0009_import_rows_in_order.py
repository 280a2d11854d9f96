"""Rows of an import in the order of its file: what sums and closes them reads them so."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_protect_idempotency'),
        ('usage', '0008_imports'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='importrow',
            index=models.Index(fields=['line', 'usage_import'], name='import_row_in_order'),
        ),
    ]
