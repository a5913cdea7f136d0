"""Creating, verifying and loading bundles."""
