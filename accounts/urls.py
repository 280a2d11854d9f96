"""Pages of this app."""

from django.urls import path

from accounts.views import audit, branding, home, invitations, keys, members, organization, profile

app_name = "accounts"
_ACCOUNT = "accounts/<uuid:account_id>"
urlpatterns = [
    path("", home.home, name="home"),
    path("switch/", home.switch, name="switch"),
    path("profile/", profile.profile, name="profile"),
    path("profile/sign-out-everywhere/", profile.sign_out_everywhere, name="sign_out_everywhere"),
    path("invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("members/", members.members, name="members"),
    path("members/invite/", members.member_invite, name="member_invite"),
    path("members/<uuid:member_id>/role/", members.member_role, name="member_role"),
    path("members/<uuid:member_id>/remove/", members.member_remove, name="member_remove"),
    path("members/invited/<uuid:invitation_id>/resend/", members.invitation_resend, name="invitation_resend"),
    path("members/invited/<uuid:invitation_id>/revoke/", members.invitation_revoke, name="invitation_revoke"),
    path(f"{_ACCOUNT}/members/", members.account_members, name="account_members"),
    path(f"{_ACCOUNT}/members/invite/", members.account_member_invite, name="account_member_invite"),
    path(f"{_ACCOUNT}/members/<uuid:member_id>/role/", members.account_member_role, name="account_member_role"),
    path(f"{_ACCOUNT}/members/<uuid:member_id>/remove/", members.account_member_remove, name="account_member_remove"),
    path(
        f"{_ACCOUNT}/members/invited/<uuid:invitation_id>/resend/",
        members.account_invitation_resend,
        name="account_invitation_resend",
    ),
    path(
        f"{_ACCOUNT}/members/invited/<uuid:invitation_id>/revoke/",
        members.account_invitation_revoke,
        name="account_invitation_revoke",
    ),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.key_create, name="key_create"),
    path("keys/<uuid:key_id>/rotate/", keys.key_rotate, name="key_rotate"),
    path("keys/<uuid:key_id>/revoke/", keys.key_revoke, name="key_revoke"),
    path(f"{_ACCOUNT}/keys/", keys.account_keys, name="account_keys"),
    path(f"{_ACCOUNT}/keys/new/", keys.account_key_create, name="account_key_create"),
    path(f"{_ACCOUNT}/keys/<uuid:key_id>/rotate/", keys.account_key_rotate, name="account_key_rotate"),
    path(f"{_ACCOUNT}/keys/<uuid:key_id>/revoke/", keys.account_key_revoke, name="account_key_revoke"),
    path("audit/", audit.audit, name="audit"),
    path("audit/audit.csv", audit.audit_csv, name="audit_csv"),
    path("accounts/<uuid:account_id>/audit/", audit.account_audit, name="account_audit"),
    path("accounts/<uuid:account_id>/audit/audit.csv", audit.account_audit_csv, name="account_audit_csv"),
    path("settings/", organization.settings, name="settings"),
    path("settings/logo/remove/", organization.logo_remove, name="logo_remove"),
    path("branding/<uuid:organization_id>.css", branding.branding_css, name="branding_css"),
    path("branding/<uuid:organization_id>/logo", branding.branding_logo, name="branding_logo"),
]
