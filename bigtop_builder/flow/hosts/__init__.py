"""Work on hosts over SSH."""
