"""Pages of this app."""

from django.urls import URLPattern, path

from reviews.views import book, onboarding, reliability

app_name = "reviews"
urlpatterns: list[URLPattern] = [
    path("book/", book.book, name="book"),
    path("book/book.csv", book.book_csv_file, name="book_csv"),
    path("book/several/", book.several, name="book_several"),
    path("book/undo/", book.take_back, name="book_undo"),
    path("book/wake/", book.wake_all, name="book_wake"),
    path("book/views/", book.save_view, name="book_save_view"),
    path("book/views/<uuid:view_id>/delete/", book.delete_view, name="book_delete_view"),
    path("onboarding/", onboarding.onboarding, name="onboarding"),
    path("onboarding/onboarding.csv", onboarding.onboarding_file, name="onboarding_csv"),
    path("onboarding/curve.csv", onboarding.onboarding_curve, name="onboarding_curve"),
    path("reliability/", reliability.reliability, name="reliability"),
    path("reliability/reliability.csv", reliability.reliability_file, name="reliability_csv"),
]
