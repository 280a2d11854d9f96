"""Charts of commits: from what a report found to the figure that a page draws."""
