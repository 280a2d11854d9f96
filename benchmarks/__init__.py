"""What the product can do on this machine, measured: each module prints a table, or JSON with --json."""
