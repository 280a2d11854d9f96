"""The partitioned tables, row-level security of usage, and the functions that partitions need."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import policy, protect, tie_to

KEYS = """
CREATE TABLE usage_event_key (
    organization_id uuid NOT NULL,
    key uuid NOT NULL,
    digest bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, key)
) PARTITION BY HASH (organization_id, key);
""" + "".join(
    f"CREATE TABLE usage_event_key_{n} PARTITION OF usage_event_key FOR VALUES WITH (MODULUS 8, REMAINDER {n});"
    + policy(f"usage_event_key_{n}", account=None)
    for n in range(8)
)

EVENTS = """
CREATE TABLE usage_event (
    organization_id uuid NOT NULL,
    key uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    batch_id bigint NOT NULL,
    account_id uuid NOT NULL,
    meter_id uuid NOT NULL,
    workflow_id uuid,
    quantity numeric(38, 12) NOT NULL CHECK (quantity <> 'NaN'),
    outcomes numeric(38, 12) CHECK (outcomes <> 'NaN'),
    succeeded boolean,
    attempt integer,
    environment text NOT NULL,
    counted boolean NOT NULL,
    value text,
    source text NOT NULL,
    event_id text NOT NULL,
    properties jsonb NOT NULL
) PARTITION BY RANGE (occurred_at);
CREATE INDEX usage_event_time ON usage_event USING brin (occurred_at);
CREATE INDEX usage_event_account ON usage_event (organization_id, account_id, occurred_at);
"""

# The application role owns nothing, so what makes and drops partitions is two functions of the owner.
PARTITIONS = f"""
CREATE FUNCTION usage_make_partition(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first date := date_trunc('month', month);
    name text := 'usage_event_' || to_char(first, 'YYYY_MM');
BEGIN
    IF first < DATE '2000-01-01' OR first > now() + interval '60 years' THEN
        RAISE EXCEPTION 'no partition for %', month;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('usage_event_partitions'));
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE usage_event INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$CREATE POLICY tenant ON %I USING (
        organization_id = NULLIF(current_setting('app.organization', true), '')::uuid
        AND current_setting('app.account', true) IN ('all', account_id::text))$policy$, name);
    EXECUTE format('ALTER TABLE usage_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
    RETURN true;
END $$;

CREATE FUNCTION usage_drop_partition(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    name text := 'usage_event_' || to_char(month, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', name);
    RETURN true;
END $$;

-- When the oldest batch came that the tick has not merged yet; null: none waits. Tells a portal viewer how fresh
-- the numbers are without showing any batch.
CREATE FUNCTION usage_oldest_waiting() RETURNS timestamptz
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

REVOKE EXECUTE ON FUNCTION usage_make_partition(date), usage_drop_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_make_partition(date), usage_drop_partition(date) TO "{settings.APP_ROLE}";
SELECT usage_make_partition((now() + months * interval '1 month')::date) FROM generate_series(-2, 3) AS months;
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial"), ("accounts", "0002_protect")]

    operations = [
        migrations.RunSQL(KEYS, "DROP TABLE usage_event_key"),
        migrations.RunSQL(EVENTS, "DROP TABLE usage_event"),
        protect("usage_event_key", account=None),
        protect("usage_event", tie=False),
        protect("usage_meter", account=None),
        protect("usage_workflow"),
        protect("usage_price", shared=True),
        protect("usage_ingestbatch", account=None, staff_only=True),
        protect("usage_quarantinedevent", account=None, staff_only=True),
        protect("usage_rejectedevent", account=None, staff_only=True),
        protect("usage_hour"),
        protect("usage_day"),
        protect("account_day"),
        protect("usage_unique_value"),
        protect("usage_touched_day"),
        migrations.RunSQL(
            tie_to("usage_meter", "usage_price", "meter_id")
            + tie_to("usage_meter", "usage_day", "meter_id")
            + tie_to("usage_meter", "usage_hour", "meter_id"),
            "".join(
                f"ALTER TABLE {table} DROP CONSTRAINT {table}_meter_id_tenant;"
                for table in ("usage_price", "usage_day", "usage_hour")
            ),
        ),
        migrations.RunSQL(
            "".join(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_is_a_number CHECK (quantity <> 'NaN' AND outcomes <> 'NaN');"
                for table in ("usage_hour", "usage_day")
            ),
            "".join(
                f"ALTER TABLE {table} DROP CONSTRAINT {table}_is_a_number;" for table in ("usage_hour", "usage_day")
            ),
        ),
        migrations.RunSQL(
            PARTITIONS,
            "DROP FUNCTION usage_make_partition(date), usage_drop_partition(date), usage_oldest_waiting()",
        ),
    ]
