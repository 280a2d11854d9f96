"""Pages of this app."""

from django.urls import path

from usage.views import accounts

app_name = "usage"
urlpatterns = [
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts/accounts.csv", accounts.accounts_csv, name="accounts_csv"),
]
