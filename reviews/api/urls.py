"""The API of this app."""

from django.urls import URLPattern, path

from reviews.api import measures, people, plays

app_name = "reviews-api"
urlpatterns: list[URLPattern] = [
    path("metrics", measures.MetricListView.as_view(), name="metrics"),
    path("health", measures.HealthListView.as_view(), name="health"),
    path("health-recipes", measures.HealthRecipeListView.as_view(), name="health-recipes"),
    path("signals", measures.SignalListView.as_view(), name="signals"),
    path("signals/precision", measures.SignalQualityView.as_view(), name="signal-precision"),
    path("signals/<uuid:signal_id>/feedback", measures.SignalFeedbackView.as_view(), name="signal-feedback"),
    path("accounts/<path:key>/metrics", measures.AccountMetricsView.as_view(), name="account-metrics"),
    path("accounts/<path:key>/metrics/days", measures.MetricDaysView.as_view(), name="account-metric-days"),
    path("accounts/<path:key>/health", measures.AccountHealthView.as_view(), name="account-health"),
    path("accounts/<path:key>/health/days", measures.HealthDaysView.as_view(), name="account-health-days"),
    path("accounts/<path:key>/signals", measures.AccountSignalListView.as_view(), name="account-signals"),
    path("plays", plays.PlayListView.as_view(), name="plays"),
    path("plays/<slug:play_key>", plays.PlayView.as_view(), name="play"),
    path("play-runs", plays.RunListView.as_view(), name="play-runs"),
    path("play-runs/<uuid:run_id>", plays.RunView.as_view(), name="play-run"),
    path("play-runs/<uuid:run_id>/stop", plays.StopView.as_view(), name="play-run-stop"),
    path("play-runs/<uuid:run_id>/notes", plays.NoteView.as_view(), name="play-run-notes"),
    path("play-runs/<uuid:run_id>/steps/<int:number>/completion", plays.StepView.as_view(), name="play-run-step"),
    path("accounts/<path:key>/play-runs", plays.AccountRunListView.as_view(), name="account-play-runs"),
    path("accounts/<path:key>/contacts", people.ContactListView.as_view(), name="contacts"),
    path("accounts/<path:key>/timeline-entries", people.EntryListView.as_view(), name="timeline-entries"),
    path("accounts/<path:key>/tasks", people.AccountTaskListView.as_view(), name="account-tasks"),
    path("tasks", people.TaskListView.as_view(), name="tasks"),
    path("tasks/<uuid:task_id>/completion", people.TaskCompletionView.as_view(), name="task-completion"),
]
