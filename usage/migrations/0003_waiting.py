"""What waits for the tick and for settlement: failed batches set aside, and who has work, in one query."""

from django.db import migrations, models

WAITING = """
-- When the oldest batch came that the tick has not merged yet; null: none waits. Tells a portal viewer how fresh
-- the numbers are without showing any batch. One that failed three times is set aside and no longer waits.
CREATE OR REPLACE FUNCTION usage_oldest_waiting() RETURNS timestamptz
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    account text := current_setting('app.account', true);
    oldest timestamptz;
BEGIN
    SET LOCAL app.account = 'all';
    SELECT received_at INTO oldest FROM usage_ingestbatch
    WHERE organization_id = NULLIF(current_setting('app.organization', true), '')::uuid
        AND rolled_at IS NULL AND failures < 3
    ORDER BY id LIMIT 1;
    EXECUTE format('SET LOCAL app.account = %L', coalesce(account, ''));
    RETURN oldest;
END $$;

-- Which organizations have batches to merge or days to settle. It looks as each of them in turn, with the rights of
-- whoever calls it, so that an idle tick is one query and row-level security has no exception.
CREATE FUNCTION usage_organizations_waiting() RETURNS SETOF uuid
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    organization text := current_setting('app.organization', true);
    account text := current_setting('app.account', true);
    candidate uuid;
BEGIN
    SET LOCAL app.account = 'all';
    FOR candidate IN SELECT id FROM accounts_organization ORDER BY id LOOP
        EXECUTE format('SET LOCAL app.organization = %L', candidate);
        IF EXISTS (
            SELECT FROM usage_ingestbatch WHERE organization_id = candidate AND rolled_at IS NULL AND failures < 3
        ) OR EXISTS (SELECT FROM usage_touched_day WHERE organization_id = candidate) THEN
            RETURN NEXT candidate;
        END IF;
    END LOOP;
    EXECUTE format('SET LOCAL app.organization = %L', coalesce(organization, ''));
    EXECUTE format('SET LOCAL app.account = %L', coalesce(account, ''));
END $$;

-- These rows are rewritten all day: room on the page keeps the rewriting out of the indexes, and a queue that is
-- mostly empty must be swept long before a fifth of it is dead.
ALTER TABLE usage_hour SET (fillfactor = 80);
ALTER TABLE usage_day SET (fillfactor = 80);
ALTER TABLE account_day SET (fillfactor = 80);
ALTER TABLE usage_touched_day SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
"""

BEFORE = """
DROP FUNCTION usage_organizations_waiting();
ALTER TABLE usage_hour RESET (fillfactor);
ALTER TABLE usage_day RESET (fillfactor);
ALTER TABLE account_day RESET (fillfactor);
ALTER TABLE usage_touched_day RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
CREATE OR REPLACE FUNCTION usage_oldest_waiting() RETURNS timestamptz
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    account text := current_setting('app.account', true);
    oldest timestamptz;
BEGIN
    PERFORM set_config('app.account', 'all', true);
    SELECT received_at INTO oldest FROM usage_ingestbatch
    WHERE organization_id = NULLIF(current_setting('app.organization', true), '')::uuid AND rolled_at IS NULL
    ORDER BY id LIMIT 1;
    PERFORM set_config('app.account', coalesce(account, ''), true);
    RETURN oldest;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0002_protect")]

    operations = [
        migrations.AddField("ingestbatch", "error", models.TextField(blank=True, db_default="")),
        migrations.AddField("ingestbatch", "failures", models.SmallIntegerField(db_default=0)),
        migrations.AddIndex(
            "touchedday", models.Index(fields=["organization", "received_at"], name="touched_day_oldest")
        ),
        migrations.RunSQL(WAITING, BEFORE),
    ]
