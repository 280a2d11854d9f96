"""Cursor pagination for every list of the API."""

from rest_framework import pagination


class CursorPagination(pagination.CursorPagination):
    """Stable under inserts; `page_size` up to 200."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = "-pk"
