"""Pages of this app."""

from django.urls import path

from accounts.views import audit, branding, organization

app_name = "accounts"
urlpatterns = [
    path("audit/", audit.audit, name="audit"),
    path("audit/audit.csv", audit.audit_csv, name="audit_csv"),
    path("accounts/<uuid:account_id>/audit/", audit.account_audit, name="account_audit"),
    path("accounts/<uuid:account_id>/audit/audit.csv", audit.account_audit_csv, name="account_audit_csv"),
    path("settings/", organization.settings, name="settings"),
    path("settings/logo/remove/", organization.logo_remove, name="logo_remove"),
    path("branding/<uuid:organization_id>.css", branding.branding_css, name="branding_css"),
    path("branding/<uuid:organization_id>/logo", branding.branding_logo, name="branding_logo"),
]
