from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "usage"

    def ready(self) -> None:
        from usage import checks  # noqa: F401  registers them; it needs the apps to be loaded
