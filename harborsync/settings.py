"""Everything that can be set, read from the environment; each NAME also as NAME_FILE (a file that holds the value)."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF

from harborsync.lib.env import read_broker_url, read_database, read_number, read_or_create, read_port

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

# Where this installation keeps what it makes for itself: database, Valkey, generated keys, logs.
DATA_DIR = Path(env.str("HARBORSYNC_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
PORT = read_port(env, "PORT", 8080)
EXTERNAL_URL = env.str("EXTERNAL_URL", default=f"http://localhost:{PORT}").rstrip("/")

DEBUG = env.bool("DEBUG", default=False)
# Keys that are not given are made once and kept in the data directory; checks.py refuses that where several
# machines would each make their own.
KEYS_ARE_GENERATED = not (env.str("SECRET_KEY", default="") and env.str("ENCRYPTION_KEYS", default=""))
SECRET_KEY = env.str("SECRET_KEY", default="") or read_or_create(DATA_DIR / "secret_key", make="secret_key")
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[]) or [
    read_or_create(DATA_DIR / "encryption_key", make="encryption_key")
]

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
_external = urlsplit(EXTERNAL_URL)
if _external.hostname and _external.hostname not in ALLOWED_HOSTS:
    ALLOWED_HOSTS.append(_external.hostname)
CSRF_TRUSTED_ORIGINS = [f"{_external.scheme}://{_external.netloc}"]

INSTALLED_APPS = [
    "harborsync.apps.HarborSyncConfig",
    "targets.apps.TargetsConfig",
    "projects.apps.ProjectsConfig",
    "replication.apps.ReplicationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
]

MIDDLEWARE = [
    "harborsync.api.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "harborsync.api.middleware.trailing_slash",
    "harborsync.api.middleware.session_csrf",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "harborsync.middleware.page_headers_middleware",
    "harborsync.middleware.time_zone_middleware",
]

ROOT_URLCONF = "harborsync.urls"
WSGI_APPLICATION = "harborsync.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
                "harborsync.pages.shell",
            ],
        },
    }
]

# SQLite: WAL lets readers go on beside the one writer; IMMEDIATE takes the write lock at BEGIN, so that a
# transaction that will write waits its turn instead of failing half-way with "database is locked".
DATABASES = {"default": read_database(env.str("DATABASE_URL", default=""), DATA_DIR / "harborsync.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# `manage.py up` starts an embedded Valkey and names it here when the environment does not.
REDIS_URL = read_broker_url(env.str("REDIS_URL", default=""), DATA_DIR)
CELERY_BROKER_URL = REDIS_URL
# The broker is a doorbell: nothing waits for an answer, and a lost message is rung again by the sweep.
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A page or a tick must not hang on a broker that is away: one more try, at once.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 20,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.05,
    "interval_max": 0.05,
}
CELERY_TASK_DEFAULT_QUEUE = "harborsync"
WORKER_PROCESSES = int(read_number(env, "HARBORSYNC_WORKER_PROCESSES", 4))

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Harbor's own name, which its clients send back.
SESSION_COOKIE_NAME = "sid"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _external.scheme == "https"
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "中文简体")]
LOCALE_PATHS = [BASE_DIR / "locale"]

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}

# Who may call what is closed by default: a view that says nothing is for administrators.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "harborsync.api.authentication.BasicAuthentication",
        "harborsync.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["harborsync.api.permissions.AdministratorOnly"],
    "DEFAULT_PARSER_CLASSES": ["harborsync.lib.api.parsing.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["harborsync.lib.api.parsing.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "harborsync.lib.api.parsing.IgnoreAccept",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "harborsync.lib.api.errors.answer_exception",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "HarborSync API",
    "DESCRIPTION": "Harbor's API v2.0, as far as it is about replication, for any OCI registry. Fields and calls that "
    "Harbor does not have are marked as HarborSync's own.",
    "VERSION": "2.0",
    "SCHEMA_PATH_PREFIX": "/api/v2.0",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "SERVERS": [{"url": "/api/v2.0"}],
    "TAGS": [
        {"name": name, "description": description}
        for name, description in {
            "ping": "Is anybody there?",
            "health": "How the parts are",
            "systeminfo": "What kind of installation this is",
            "user": "Who is asking",
            "project": "Projects: namespaces of a registry",
            "member": "Members of projects",
            "registry": "Registries",
            "replication": "Rules, their runs and logs",
        }.items()
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "harborsync.api.schema.describe_operations",
    ],
    "PATH_CONVERTER_OVERRIDES": {"number": {"type": "integer", "format": "int64"}},
    "ENUM_NAME_OVERRIDES": {
        "CredentialTypeEnum": "targets.serializers.CREDENTIAL_TYPES",
        "HealthStatusEnum": "harborsync.api.system.HEALTH_WORDS",
        "ExecutionStatusEnum": "replication.run_serializers.EXECUTION_WORDS",
        "TaskStatusEnum": "replication.run_serializers.TASK_WORDS",
    },
}

# Replication. A worker that stops renewing its lease is taken for dead after LEASE_SECONDS.
LEASE_SECONDS = int(read_number(env, "HARBORSYNC_LEASE_SECONDS", 30))
# One execution does not need more workers than there are processors: each has many copies under way.
DRAINS_PER_EXECUTION = int(read_number(env, "HARBORSYNC_DRAINS_PER_EXECUTION", max(os.cpu_count() or 2, 2)))
RETRY_BASE_SECONDS = read_number(env, "HARBORSYNC_RETRY_BASE_SECONDS", 1.0)
RETRY_CAP_SECONDS = read_number(env, "HARBORSYNC_RETRY_CAP_SECONDS", 60.0)
RETRY_GIVE_UP_SECONDS = int(read_number(env, "HARBORSYNC_RETRY_GIVE_UP_SECONDS", 24 * 3600))
# How long a target is believed to hold under a tag what it was last seen to hold; then each tag is asked for again.
VERIFY_HOURS = read_number(env, "HARBORSYNC_VERIFY_HOURS", 24)
HEALTH_CHECK_SECONDS = int(read_number(env, "HARBORSYNC_HEALTH_CHECK_SECONDS", 300))
HISTORY_KEEP_DAYS = int(read_number(env, "HARBORSYNC_HISTORY_KEEP_DAYS", 90))
HISTORY_KEEP_PER_RULE = int(read_number(env, "HARBORSYNC_HISTORY_KEEP_PER_RULE", 500))
NOTIFICATION_MAX_BYTES = 4 * 1024 * 1024
# Django's own limit, lower by default, would answer a registry with a page for browsers.
DATA_UPLOAD_MAX_MEMORY_SIZE = NOTIFICATION_MAX_BYTES

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django.request": {"level": "ERROR"}},
}
