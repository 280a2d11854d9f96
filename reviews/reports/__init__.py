"""What the book shows: facts of accounts read for many at once, and what pages make of them."""
