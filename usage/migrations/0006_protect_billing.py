"""Row-level security of rate cards and billing, and every flat price of before as a version of a rate card."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import append_only, protect, tie_to

# Drafts and withdrawn prices are the vendor's own business.
_PUBLISHED = """
CREATE POLICY published ON usage_price AS RESTRICTIVE FOR SELECT
    USING (in_force OR current_setting('app.account', true) = 'all');
CREATE POLICY published ON usage_ratecardversion AS RESTRICTIVE FOR SELECT
    USING (status = 'published' OR current_setting('app.account', true) = 'all');
"""

_PRICES_INTO_VERSIONS = """
DO $$
DECLARE
    candidate uuid;
BEGIN
    SET LOCAL app.account = 'all';
    FOR candidate IN SELECT id FROM accounts_organization ORDER BY id LOOP
        EXECUTE format('SET LOCAL app.organization = %L', candidate);
        INSERT INTO usage_ratecard (id, organization_id, account_id, name, currency)
        SELECT gen_random_uuid(), organization_id, account_id,
            CASE WHEN account_id IS NULL THEN 'Price list ' ELSE 'Own prices ' END || currency, currency
        FROM usage_price WHERE organization_id = candidate GROUP BY organization_id, account_id, currency;
        INSERT INTO usage_ratecardversion (id, organization_id, account_id, card_id, number, effective_on, status,
            note, published_at, withdrawn_reason)
        SELECT gen_random_uuid(), card.organization_id, card.account_id, card.id,
            row_number() OVER (PARTITION BY card.id ORDER BY price.effective_on), price.effective_on, 'published', '',
            min(price.created_at), ''
        FROM usage_ratecard AS card JOIN usage_price AS price ON price.organization_id = card.organization_id
            AND price.account_id IS NOT DISTINCT FROM card.account_id AND price.currency = card.currency
        WHERE card.organization_id = candidate GROUP BY card.id, price.effective_on;
        UPDATE usage_price AS price SET version_id = version.id, in_force = true,
            terms = jsonb_build_object('model', 'unit', 'params', jsonb_build_object('unit', price.unit_price::text))
        FROM usage_ratecardversion AS version JOIN usage_ratecard AS card ON card.id = version.card_id
        WHERE price.organization_id = candidate AND card.organization_id = candidate
            AND price.account_id IS NOT DISTINCT FROM card.account_id AND price.currency = card.currency
            AND price.effective_on = version.effective_on;
    END LOOP;
    SET LOCAL app.organization = '';
    SET LOCAL app.account = '';
END $$;
SET CONSTRAINTS ALL IMMEDIATE;
"""

_WAITING = """
-- As before, and organizations with an account on whose calendar a new day has begun.
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
            SELECT FROM usage_ingestbatch WHERE organization_id = candidate AND rolled_at IS NULL AND failures < 3
        ) OR EXISTS (SELECT FROM usage_touched_day WHERE organization_id = candidate)
        OR EXISTS (SELECT FROM usage_settlement WHERE organization_id = candidate AND due_at <= now()) THEN
            RETURN NEXT candidate;
        END IF;
    END LOOP;
    EXECUTE format('SET LOCAL app.organization = %L', coalesce(organization, ''));
    EXECUTE format('SET LOCAL app.account = %L', coalesce(account, ''));
END $$;

ALTER TABLE usage_rated_day SET (fillfactor = 80);
ALTER TABLE usage_settlement SET (fillfactor = 70);
ALTER TABLE usage_rated_day ADD CONSTRAINT usage_rated_day_numbers CHECK (
    quantity <> 'NaN' AND total_quantity <> 'NaN' AND total_due <> 'NaN'
    AND amount <> 'NaN' AND total_amount <> 'NaN');
ALTER TABLE usage_adjustment ADD CONSTRAINT usage_adjustment_numbers CHECK (quantity <> 'NaN' AND amount <> 'NaN');
"""


class Migration(migrations.Migration):
    dependencies = [("usage", "0005_rate_cards_and_billing"), ("accounts", "0006_protect_idempotency")]

    operations = [
        protect("usage_ratecard", shared=True),
        protect("usage_ratecardversion", shared=True),
        protect("usage_vendorcost", account=None, staff_only=True),
        protect("usage_correction"),
        protect("usage_billingperiod"),
        protect("usage_rated_day"),
        protect("usage_adjustment"),
        protect("usage_settlement"),
        append_only("usage_adjustment", settings.APP_ROLE),
        migrations.RunSQL(_PRICES_INTO_VERSIONS, migrations.RunSQL.noop),
        migrations.RunSQL(
            _PUBLISHED,
            "DROP POLICY published ON usage_price; DROP POLICY published ON usage_ratecardversion",
        ),
        migrations.RunSQL(
            tie_to("usage_ratecard", "usage_ratecardversion", "card_id")
            + tie_to("usage_ratecardversion", "usage_price", "version_id")
            + tie_to("usage_meter", "usage_vendorcost", "meter_id")
            + tie_to("accounts_account", "usage_vendorcost", "account_id"),
            "ALTER TABLE usage_ratecardversion DROP CONSTRAINT usage_ratecardversion_card_id_tenant;"
            "ALTER TABLE usage_price DROP CONSTRAINT usage_price_version_id_tenant;"
            "ALTER TABLE usage_vendorcost DROP CONSTRAINT usage_vendorcost_meter_id_tenant;"
            "ALTER TABLE usage_vendorcost DROP CONSTRAINT usage_vendorcost_account_id_tenant;",
        ),
        migrations.RunSQL(_WAITING, migrations.RunSQL.noop),
    ]
