"""Corrections are found by their other events too; days from before there were rated days are marked for settlement."""

from django.db import migrations, models

MARK_DAYS_OF_BEFORE = """
DO $$
DECLARE
    candidate uuid;
BEGIN
    SET LOCAL app.account = 'all';
    FOR candidate IN SELECT id FROM accounts_organization ORDER BY id LOOP
        EXECUTE format('SET LOCAL app.organization = %L', candidate);
        INSERT INTO usage_touched_day (organization_id, account_id, day, received_at, reason)
        SELECT DISTINCT organization_id, account_id, day, now(), 'Days of before were rated anew'
        FROM usage_day AS used
        WHERE organization_id = candidate AND NOT EXISTS (
            SELECT FROM usage_rated_day AS rated WHERE rated.organization_id = candidate
                AND rated.account_id = used.account_id AND rated.day = used.day)
        ORDER BY account_id, day
        ON CONFLICT DO NOTHING;
    END LOOP;
    SET LOCAL app.organization = '';
    SET LOCAL app.account = '';
END $$;
SET CONSTRAINTS ALL IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0009_import_rows_in_order")]

    operations = [
        migrations.AddIndex(
            "correction", models.Index(fields=["organization", "reversal_key"], name="correction_reversal")
        ),
        migrations.AddIndex(
            "correction",
            models.Index(
                condition=models.Q(("replacement_key__isnull", False)),
                fields=["organization", "replacement_key"],
                name="correction_replacement",
            ),
        ),
        migrations.RunSQL(MARK_DAYS_OF_BEFORE, migrations.RunSQL.noop),
    ]
