"""What the generated description of the API cannot know by itself: keys, and problems as answers."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from accounts.idempotency import REFUSALS, describe_replays

_PROBLEM = {"$ref": "#/components/schemas/Problem"}  # described beside the ingest endpoint
_REFUSALS = {
    "400": "A parameter or the body cannot be used.",
    "401": "No key, or one that is unknown, expired or revoked.",
    "403": "The key or role lacks the right.",
    "404": "Unknown, or another's.",
    "405": "This method is not offered.",
}


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """`Authorization: Bearer ccs_live_…`."""

    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "ApiKeyAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key with the scope read or manage."}


class ReadSchema(AutoSchema):
    """Adds to every operation how it refuses, and to a creating one how it answers when it is sent again."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            is_idempotent = getattr(getattr(self.view, self.method.lower()), "is_idempotent", False)
            for status, words in (_REFUSALS | (REFUSALS if is_idempotent else {})).items():
                answer = {"description": words, "content": {"application/problem+json": {"schema": _PROBLEM}}}
                operation["responses"].setdefault(status, answer)
            if is_idempotent:
                describe_replays(operation)
        return operation
