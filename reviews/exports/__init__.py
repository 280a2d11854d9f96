"""Files of the book of business."""
