"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""
