"""Answers kept for repeated requests are seen by their own account only."""

from django.db import migrations

from consumption_cs.lib.tenancy import protect


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_billing_and_idempotency")]

    operations = [protect("accounts_idempotencykey")]
