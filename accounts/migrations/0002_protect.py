"""Row-level security of people and keys, the append-only audit log, and the cache table."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import append_only, protect

OWN = "NULLIF(current_setting('app.person', true), '')::uuid"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        protect("accounts_membership", also=f"user_id = {OWN}"),
        protect(
            "accounts_account",
            account="id",
            tie=False,
            also=f"id IN (SELECT account_id FROM accounts_membership WHERE user_id = {OWN})",
        ),
        protect("accounts_invitation", also="token_hash = NULLIF(current_setting('app.token', true), '')"),
        protect("accounts_apikey", also="prefix = NULLIF(current_setting('app.key_prefix', true), '')"),
        protect("accounts_auditevent"),
        append_only("accounts_auditevent", settings.APP_ROLE),
        migrations.RunSQL(
            """
            CREATE TABLE cache (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);
            CREATE INDEX cache_expires ON cache (expires);
            """,
            "DROP TABLE cache",
        ),
    ]
