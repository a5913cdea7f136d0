"""Publishing, verifying and describing package repositories."""
