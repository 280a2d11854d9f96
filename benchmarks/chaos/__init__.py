"""The product under fire: its processes are killed at random while clients retry, and then everything must add up."""
