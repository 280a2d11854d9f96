"""Downloads of money: files that add up and that no spreadsheet runs."""
