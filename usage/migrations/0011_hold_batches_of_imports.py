"""Batches of an import that closes are held until all are there, and then count together."""

from django.db import migrations, models

_HELD = "AND held_for IS NULL"

WAITING = """
-- What is held for an import that closes does not wait for the tick: nothing of it is said to be late.
CREATE OR REPLACE FUNCTION usage_oldest_waiting() RETURNS timestamptz
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    account text := current_setting('app.account', true);
    oldest timestamptz;
BEGIN
    SET LOCAL app.account = 'all';
    SELECT received_at INTO oldest FROM usage_ingestbatch
    WHERE organization_id = NULLIF(current_setting('app.organization', true), '')::uuid
        AND rolled_at IS NULL AND failures < 3 {held}
    ORDER BY id LIMIT 1;
    EXECUTE format('SET LOCAL app.account = %L', coalesce(account, ''));
    RETURN oldest;
END $$;

CREATE OR REPLACE FUNCTION usage_organizations_waiting() RETURNS SETOF uuid
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
            SELECT FROM usage_ingestbatch
            WHERE organization_id = candidate AND rolled_at IS NULL AND failures < 3 {held}
        ) OR EXISTS (SELECT FROM usage_touched_day WHERE organization_id = candidate)
        OR EXISTS (SELECT FROM usage_settlement WHERE organization_id = candidate AND due_at <= now()) THEN
            RETURN NEXT candidate;
        END IF;
    END LOOP;
    EXECUTE format('SET LOCAL app.organization = %L', coalesce(organization, ''));
    EXECUTE format('SET LOCAL app.account = %L', coalesce(account, ''));
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0010_rate_days_of_before")]

    operations = [
        migrations.AddField("ingestbatch", "held_for", models.UUIDField(null=True)),
        migrations.RunSQL(WAITING.replace("{held}", _HELD), WAITING.replace("{held}", "")),
    ]
