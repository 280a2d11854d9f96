"""Pages of this app."""

from django.urls import URLPattern, path

from reviews.views import reliability

app_name = "reviews"
urlpatterns: list[URLPattern] = [
    path("reliability/", reliability.reliability, name="reliability"),
    path("reliability/reliability.csv", reliability.reliability_file, name="reliability_csv"),
]
