"""Pages of this app."""

from django.urls import URLPattern, path

from reviews.views import book, brief, contacts, onboarding, play_runs, plays, reliability, tasks, timeline

app_name = "reviews"
urlpatterns: list[URLPattern] = [
    path("accounts/<uuid:account_id>/brief/", brief.account_brief, name="brief"),
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
    path("plays/", plays.plays, name="plays"),
    path("plays/new/", plays.play_new, name="play_new"),
    path("plays/preview/", plays.play_preview, name="play_preview"),
    path("plays/<slug:play_key>/", plays.play, name="play"),
    path("plays/<slug:play_key>/edit/", plays.play_edit, name="play_edit"),
    path("plays/<slug:play_key>/switch/", plays.play_switch, name="play_switch"),
    path("accounts/<uuid:account_id>/plays/", play_runs.account_plays, name="account_plays"),
    path("accounts/<uuid:account_id>/plays/start/", play_runs.play_start, name="play_start"),
    path("accounts/<uuid:account_id>/plays/<uuid:run_id>/", play_runs.play_run, name="play_run"),
    path("accounts/<uuid:account_id>/plays/<uuid:run_id>/<slug:step>/", play_runs.play_act, name="play_act"),
    path("tasks/", tasks.tasks, name="tasks"),
    path("covers/", contacts.cover_list, name="covers"),
    path("covers/<uuid:cover_id>/end/", contacts.cover_end, name="cover_end"),
    path("accounts/<uuid:account_id>/timeline/", timeline.account_timeline, name="timeline"),
    path("accounts/<uuid:account_id>/timeline/<uuid:entry_id>/", timeline.entry, name="entry"),
    path("accounts/<uuid:account_id>/timeline/<uuid:entry_id>/remove/", timeline.entry_remove, name="entry_remove"),
    path("accounts/<uuid:account_id>/tasks/", tasks.account_tasks_page, name="account_tasks"),
    path("accounts/<uuid:account_id>/tasks/<uuid:task_id>/", tasks.task, name="task"),
    path("accounts/<uuid:account_id>/tasks/<uuid:task_id>/done/", tasks.task_done, name="task_done"),
    path("accounts/<uuid:account_id>/tasks/<uuid:task_id>/reopen/", tasks.task_reopen, name="task_reopen"),
    path("accounts/<uuid:account_id>/tasks/<uuid:task_id>/drop/", tasks.task_drop, name="task_drop"),
    path("accounts/<uuid:account_id>/people/", contacts.contacts, name="contacts"),
    path("accounts/<uuid:account_id>/people/<uuid:contact_id>/", contacts.contact, name="contact"),
    path("accounts/<uuid:account_id>/people/<uuid:contact_id>/left/", contacts.contact_gone, name="contact_left"),
]
