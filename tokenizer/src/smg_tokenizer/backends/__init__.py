"""The libraries that do the work, each behind the same interface."""
