"""The gate between what was computed and what is published."""
