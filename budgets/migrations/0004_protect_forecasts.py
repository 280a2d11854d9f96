"""Row-level security of forecasts and files; what was forecast is never rewritten."""

from django.conf import settings
from django.db import migrations

from consumption_cs.lib.tenancy import append_only, protect, tie_to

_TIES = """
ALTER TABLE budgets_forecastrun ADD CONSTRAINT forecast_run_in_organization UNIQUE (organization_id, id);
"""
_SHARED_SCENARIOS = """
CREATE POLICY shared ON budgets_scenario AS RESTRICTIVE FOR SELECT
    USING (is_shared OR by_customer OR current_setting('app.account', true) = 'all');
"""


class Migration(migrations.Migration):
    dependencies = [("budgets", "0003_forecasts_and_reports")]

    operations = [
        protect("budgets_forecastrun"),
        protect("budgets_forecastscore"),
        protect("budgets_forecastcalibration", account=None),
        protect("budgets_plannedactivity"),
        protect("budgets_scenario"),
        protect("budgets_approvalterms"),
        protect("budgets_report"),
        protect("budgets_reportsubscription"),
        protect("budgets_calendarfeed", also="token_hash = NULLIF(current_setting('app.token', true), '')"),
        append_only("budgets_forecastrun", settings.APP_ROLE),
        append_only("budgets_forecastscore", settings.APP_ROLE),
        append_only("budgets_forecastcalibration", settings.APP_ROLE),
        migrations.RunSQL(_TIES, "ALTER TABLE budgets_forecastrun DROP CONSTRAINT forecast_run_in_organization"),
        migrations.RunSQL(
            tie_to("budgets_forecastrun", "budgets_forecastscore", "run_id"),
            "ALTER TABLE budgets_forecastscore DROP CONSTRAINT budgets_forecastscore_run_id_tenant",
        ),
        migrations.RunSQL(_SHARED_SCENARIOS, "DROP POLICY shared ON budgets_scenario"),
    ]
