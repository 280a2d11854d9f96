"""A proposal that is shared is the customer's to read; all others stay the vendor's own."""

from django.db import migrations

from consumption_cs.lib.tenancy import policy

_SHARED = (
    "DROP POLICY tenant ON reviews_costproposal;"
    + policy("reviews_costproposal")
    + """
    CREATE POLICY shared ON reviews_costproposal AS RESTRICTIVE
        USING (is_shared OR current_setting('app.account', true) = 'all');
    """
)
_STAFF_ONLY = "DROP POLICY shared ON reviews_costproposal; DROP POLICY tenant ON reviews_costproposal;" + policy(
    "reviews_costproposal", staff_only=True
)


class Migration(migrations.Migration):
    dependencies = [("reviews", "0003_metrics_in_columns")]

    operations = [migrations.RunSQL(_SHARED, _STAFF_ONLY)]
