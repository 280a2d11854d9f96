"""Staged imports of usage: the files, their rows as they were read, what was wrong and what they would change."""

import consumption_cs.lib.ids
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from consumption_cs.lib.tenancy import protect, tie_to

_TABLES = ("import", "import_chunk", "import_row", "import_error", "import_sum", "import_change")

_MORE = """
-- A file is compressed already, or not worth it: PostgreSQL need not try.
ALTER TABLE usage_import_chunk ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE usage_import_row ADD CONSTRAINT usage_import_row_numbers
    CHECK (quantity <> 'NaN' AND outcomes <> 'NaN');

-- The imports whose worker has not been heard of since `before`, of every organization: what the sweep resumes.
CREATE FUNCTION usage_imports_waiting(before timestamptz) RETURNS TABLE (organization uuid, import uuid)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    was_organization text := current_setting('app.organization', true);
    was_account text := current_setting('app.account', true);
    candidate uuid;
BEGIN
    SET LOCAL app.account = 'all';
    FOR candidate IN SELECT id FROM accounts_organization ORDER BY id LOOP
        EXECUTE format('SET LOCAL app.organization = %L', candidate);
        RETURN QUERY SELECT one.organization_id, one.id FROM usage_import AS one
            WHERE one.organization_id = candidate
            AND one.state IN ('validating', 'closing', 'reverting', 'undoing')
            AND (one.heartbeat_at IS NULL OR one.heartbeat_at < before);
    END LOOP;
    EXECUTE format('SET LOCAL app.organization = %L', coalesce(was_organization, ''));
    EXECUTE format('SET LOCAL app.account = %L', coalesce(was_account, ''));
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_protect_idempotency'),
        ('usage', '0007_prices_have_terms'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageImport',
            fields=[
                ('id', models.UUIDField(default=consumption_cs.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('format', models.CharField(choices=[('csv', 'CSV'), ('ndjson', 'NDJSON'), ('parquet', 'Parquet')], max_length=10)),
                ('state', models.CharField(choices=[('created', 'Waiting for the file'), ('uploading', 'Uploading'), ('uploaded', 'Uploaded'), ('validating', 'Being checked'), ('ready', 'Ready to close'), ('refused', 'Refused'), ('closing', 'Closing'), ('closed', 'Closed'), ('reverting', 'Being reverted'), ('reverted', 'Reverted'), ('undoing', 'Being undone'), ('undone', 'Undone'), ('failed', 'Failed')], default='created', max_length=12)),
                ('file_name', models.CharField(blank=True, max_length=200)),
                ('bytes', models.BigIntegerField(default=0)),
                ('total_bytes', models.BigIntegerField(null=True)),
                ('columns', models.JSONField(blank=True, default=dict)),
                ('default_source', models.CharField(default='import', max_length=200)),
                ('may_backfill', models.BooleanField(default=False)),
                ('window_accounts', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), blank=True, default=list, size=None)),
                ('window_from', models.DateTimeField(blank=True, null=True)),
                ('window_to', models.DateTimeField(blank=True, null=True)),
                ('step', models.CharField(blank=True, max_length=20)),
                ('position', models.JSONField(blank=True, default=dict)),
                ('rows', models.BigIntegerField(default=0)),
                ('rows_new', models.BigIntegerField(default=0)),
                ('rows_known', models.BigIntegerField(default=0)),
                ('rows_differing', models.BigIntegerField(default=0)),
                ('rows_repeated', models.BigIntegerField(default=0)),
                ('rows_bad', models.BigIntegerField(default=0)),
                ('reasons', models.JSONField(blank=True, default=dict)),
                ('events_voided', models.BigIntegerField(default=0)),
                ('done', models.BigIntegerField(default=0)),
                ('todo', models.BigIntegerField(default=0)),
                ('leaves_bad_out', models.BooleanField(default=False)),
                ('preview', models.JSONField(blank=True, default=dict)),
                ('problem', models.TextField(blank=True)),
                ('reason', models.TextField(blank=True)),
                ('failures', models.SmallIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('uploaded_at', models.DateTimeField(null=True)),
                ('step_started_at', models.DateTimeField(null=True)),
                ('validated_at', models.DateTimeField(null=True)),
                ('closed_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('heartbeat_at', models.DateTimeField(null=True)),
                ('api_key', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.apikey')),
                ('closed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.organization')),
                ('window_meter', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='usage.meter')),
            ],
            options={
                'db_table': 'usage_import',
            },
        ),
        migrations.CreateModel(
            name='ImportSum',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('workflow_key', models.TextField(default='')),
                ('group', models.TextField(default='')),
                ('rows_new', models.BigIntegerField(default=0)),
                ('rows_known', models.BigIntegerField(default=0)),
                ('rows_voided', models.BigIntegerField(default=0)),
                ('events', models.BigIntegerField(default=0)),
                ('quantity', models.DecimalField(decimal_places=12, default=0, max_digits=60)),
                ('voided_events', models.BigIntegerField(default=0)),
                ('voided_quantity', models.DecimalField(decimal_places=12, default=0, max_digits=60)),
                ('last_event_at', models.DateTimeField()),
                ('account', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.account')),
                ('meter', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.meter')),
                ('organization', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.organization')),
                ('usage_import', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.usageimport')),
            ],
            options={
                'db_table': 'usage_import_sum',
            },
        ),
        migrations.CreateModel(
            name='ImportRow',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'usage_import_id', 'key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('key', models.UUIDField()),
                ('line', models.BigIntegerField()),
                ('is_known', models.BooleanField()),
                ('digest', models.BigIntegerField()),
                ('occurred_at', models.DateTimeField()),
                ('workflow_key', models.TextField(default='')),
                ('group', models.TextField(default='')),
                ('quantity', models.DecimalField(decimal_places=12, max_digits=38)),
                ('outcomes', models.DecimalField(decimal_places=12, max_digits=38, null=True)),
                ('succeeded', models.BooleanField(null=True)),
                ('attempt', models.IntegerField(null=True)),
                ('environment', models.TextField()),
                ('counted', models.BooleanField()),
                ('value', models.TextField(null=True)),
                ('source', models.TextField()),
                ('event_id', models.TextField()),
                ('properties', models.JSONField()),
                ('account', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.account')),
                ('meter', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.meter')),
                ('organization', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.organization')),
                ('usage_import', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.usageimport')),
            ],
            options={
                'db_table': 'usage_import_row',
            },
        ),
        migrations.CreateModel(
            name='ImportChunk',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'usage_import_id', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('number', models.IntegerField()),
                ('data', models.BinaryField()),
                ('organization', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.organization')),
                ('usage_import', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.usageimport')),
            ],
            options={
                'db_table': 'usage_import_chunk',
            },
        ),
        migrations.CreateModel(
            name='ImportChange',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'usage_import_id', 'account_id', 'meter_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('currency', models.CharField(max_length=3)),
                ('starts_on', models.DateField()),
                ('ends_on', models.DateField()),
                ('rows_new', models.BigIntegerField()),
                ('rows_known', models.BigIntegerField()),
                ('rows_voided', models.BigIntegerField()),
                ('quantity_before', models.DecimalField(decimal_places=12, max_digits=60)),
                ('quantity_after', models.DecimalField(decimal_places=12, max_digits=60)),
                ('spend_before', models.DecimalField(decimal_places=6, max_digits=20, null=True)),
                ('spend_after', models.DecimalField(decimal_places=6, max_digits=20, null=True)),
                ('adjustment', models.DecimalField(decimal_places=6, default=0, max_digits=20)),
                ('account', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.account')),
                ('meter', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.meter')),
                ('organization', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.organization')),
                ('usage_import', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.usageimport')),
            ],
            options={
                'db_table': 'usage_import_change',
            },
        ),
        migrations.CreateModel(
            name='BadRow',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'usage_import_id', 'line', blank=True, editable=False, primary_key=True, serialize=False)),
                ('line', models.BigIntegerField()),
                ('code', models.CharField(max_length=60)),
                ('detail', models.TextField()),
                ('excerpt', models.TextField(blank=True)),
                ('organization', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.organization')),
                ('usage_import', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, to='usage.usageimport')),
            ],
            options={
                'db_table': 'usage_import_error',
            },
        ),
        migrations.AddIndex(
            model_name='usageimport',
            index=models.Index(fields=['organization', '-created_at'], name='import_recent'),
        ),
        migrations.AddConstraint(
            model_name='usageimport',
            constraint=models.UniqueConstraint(fields=('organization', 'id'), name='import_in_organization'),
        ),
        migrations.AddConstraint(
            model_name='usageimport',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('window_from', None), ('window_meter', None), ('window_to', None)), models.Q(('window_from__isnull', False), ('window_meter__isnull', False), ('window_to__gt', models.F('window_from'))), _connector='OR'), name='import_window_whole'),
        ),
        migrations.AddConstraint(
            model_name='importsum',
            constraint=models.UniqueConstraint(fields=('organization', 'usage_import', 'account', 'meter', 'day', 'workflow_key', 'group'), name='import_sum_once'),
        ),
        *(protect(f"usage_{table}", account=None, staff_only=True) for table in _TABLES),
        migrations.RunSQL(
            tie_to("usage_meter", "usage_import", "window_meter_id"),
            "ALTER TABLE usage_import DROP CONSTRAINT usage_import_window_meter_id_tenant",
        ),
        migrations.RunSQL(_MORE, "DROP FUNCTION usage_imports_waiting(timestamptz)"),
    ]
