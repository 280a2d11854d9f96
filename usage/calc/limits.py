"""The sizes that one request, one event and one number may have. Stated once, quoted in messages and documents."""

BODY_BYTES = 1024 * 1024
EVENT_BYTES = 64 * 1024
BATCH_EVENTS = 1000
DEPTH = 32
NUMBER_CHARS = 64
DATA_KEYS = 100
ATTRIBUTE_CHARS = 256
EXCERPT_CHARS = 500

FUTURE_SECONDS = 300
PAST_SECONDS = 35 * 24 * 3600
