"""Settings. Everything that differs between installations comes from the environment and is checked here."""

import importlib.util
import sys
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from consumption_cs import schedule

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

DEBUG = env.bool("DEBUG", default=False)
DEMO = env.bool("DEMO", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY and not {"makemigrations", "check", "compilemessages"} & set(sys.argv):
    raise ImproperlyConfigured("Set SECRET_KEY to a long random string (see README, 'Deploy').")
SECRET_KEY = SECRET_KEY or "only-for-commands-that-serve-nobody-" + "0123456789abcdef" * 2
# What encrypts secrets in the database: the first one writes, all of them read, so that a key can be changed.
FIELD_KEYS = env.list("FIELD_KEYS", default=[SECRET_KEY])
# Webhooks to plain http and to this very machine: for tries only.
WEBHOOKS_TO_LOOPBACK = env.bool("WEBHOOKS_TO_LOOPBACK", default=DEBUG or DEMO)
SITE_URL = env.str("SITE_URL", default="http://localhost:8000").rstrip("/")
IS_HTTPS = SITE_URL.startswith("https://") or not (DEBUG or DEMO or env.bool("PLAIN_HTTP", default=False))
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [SITE_URL]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "usage",
    "budgets",
    "reviews",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "consumption_cs.lib.lanes.MachineLane",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.ViewerMiddleware",
]
ROOT_URLCONF = "consumption_cs.urls"
WSGI_APPLICATION = "consumption_cs.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context_processors.viewer",
            ],
            "builtins": ["accounts.templatetags.ui", "reviews.templatetags.metrics"],
        },
    }
]

# Two roles of one database: requests and jobs run as a role that owns nothing and cannot bypass row-level security;
# the owner migrates (`manage.py migrate --database owner`).
_PG_OPTIONS = "-c lock_timeout=5s -c idle_in_transaction_session_timeout=60s -c timezone=UTC"
DATABASES = {
    "default": env.db("DATABASE_URL", default="postgresql://ccs_app@127.0.0.1:15432/consumption_cs")
    | {
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 2, "options": f"{_PG_OPTIONS} -c statement_timeout=30s"},
    },
    "owner": env.db("DATABASE_OWNER_URL", default="postgresql://ccs_owner@127.0.0.1:15432/consumption_cs")
    | {
        "OPTIONS": {"connect_timeout": 5, "options": "-c lock_timeout=5s -c timezone=UTC"},
        "TEST": {"MIRROR": "default"},
    },
}
DATABASE_ROUTERS: list[str] = []
APP_ROLE = DATABASES["default"]["USER"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Valkey may be wiped or gone at any moment, so what must not be lost or block a page lives in PostgreSQL.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True

# Celery: short idempotent tasks with string ids; rows are the truth, the broker only wakes (docs in architecture).
REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:16379/0")
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "max_retries": 0,
    "socket_connect_timeout": 0.2,
    "socket_timeout": 5,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 45
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "reports"
CELERY_TASK_ROUTES = schedule.ROUTES
CELERY_BEAT_SCHEDULE = schedule.BEAT
CELERY_TIMEZONE = "UTC"
# Celery would open a connection for every task: at several a second, as much work for PostgreSQL as thousands of
# events. `celery.py` drops those that broke, as Django does between requests.
CELERY_DB_REUSE_MAX = 1000

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_HTTPS else "http"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_RATE_LIMITS = {"login_failed": "5/m/ip,5/5m/key", "login": "30/m/ip", "reset_password": "10/h/ip,5/h/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if env.bool("BEHIND_PROXY", default=False) else 0
MFA_ADAPTER = "accounts.adapter.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Consumption CS"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasCapability"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["usage.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "accounts.pagination.CursorPagination",
    "EXCEPTION_HANDLER": "consumption_cs.lib.problems.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Consumption CS",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "usage.api.schema.describe_ingest",
    ],
    "ENUM_NAME_OVERRIDES": {
        "CommitKindEnum": "budgets.models.Commit.Kind",
        "CommitChangeKindEnum": "budgets.models.CommitChange.Kind",
        "LedgerEntryKindEnum": "budgets.models.LedgerEntry.Kind",
        "PlannedActivityKindEnum": "budgets.models.PlannedActivity.Kind",
        "BudgetRuleKindEnum": "budgets.models.BudgetRule.Kind",
        "SignalKindEnum": "reviews.calc.signals.KIND_CHOICES",
        "TimelineEntryKindEnum": "reviews.models.TimelineEntry.Kind",
        "CommitStateEnum": ["upcoming", "active", "used_up", "expired", "cancelled"],
        "ReconciliationStateEnum": ["open", "ended", "closed"],
        "RateCardEffectStateEnum": ["none", "running", "stuck", "failed", "outdated", "ready"],
        "UsageImportStateEnum": "usage.models.UsageImport.State",
        "RunOutStateEnum": "budgets.reports.run_outs.STATE_CHOICES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
_PLOTLY = importlib.util.find_spec("plotly")  # found, not imported: the import costs half a second
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "consumption_cs" / "static"]
if _PLOTLY and _PLOTLY.origin:
    STATICFILES_DIRS.append(("plotly", Path(_PLOTLY.origin).parent / "package_data"))
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 0 if DEBUG else 3600

EMAIL_TIMEOUT = 10
vars().update(env.email("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Consumption CS <no-reply@localhost>")

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = IS_HTTPS and env.bool("SSL_REDIRECT", default=True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_NAME = "__Host-session" if IS_HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrf" if IS_HTTPS else "csrftoken"
X_FRAME_OPTIONS = "DENY"
# The chart library adds two style elements: an empty one that it fills through the object model, and the sheet of its
# map part (no map is ever drawn, but a blocked sheet is an error in every console). Both by hash.
_CHART_STYLES = [
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='",
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'", *_CHART_STYLES],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    }
}

# How much one key may send; above it the answer is 429 with Retry-After.
INGEST_EVENTS_PER_MINUTE = env.int("INGEST_EVENTS_PER_MINUTE", default=6_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
