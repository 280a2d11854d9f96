"""Staged imports of usage: create, upload, validate, preview, close, revert, undo."""
