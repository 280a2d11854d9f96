"""All URLs: each app brings its own."""

from django.conf import settings
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from accounts.views import demo_mails, health, home, styleguide
from reviews.views import stories

urlpatterns = [
    path("healthz", health.live, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="api-docs"),
    # Before those of usage, whose `accounts/<path:key>` takes every path that nobody else claims.
    path("api/v1/", include("reviews.api.urls")),
    path("api/v1/", include("budgets.api.urls")),
    path("api/v1/", include("usage.api.urls")),
    path("compat/", include("usage.api.compat_urls")),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("demo/mails/", demo_mails.mails, name="demo_mails"),
    path("demo/mails/<slug:key>/", demo_mails.mail_html, name="demo_mail_html"),
    # People sign in with the address they were invited at; the library's pages to change it are not offered.
    path("sign-in/email/", home.not_offered),
    path("sign-in/", include("allauth.urls")),
    path("", include("accounts.urls")),
    path("", include("usage.urls")),
    path("", include("budgets.urls")),
    path("", include("reviews.urls")),
]
if settings.DEMO:
    urlpatterns.append(path("demo/stories/", stories.stories, name="demo_stories"))
