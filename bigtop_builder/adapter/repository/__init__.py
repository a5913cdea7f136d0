"""Published yum repositories on a local file system."""
