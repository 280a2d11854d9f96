"""Figures of the book of business."""
