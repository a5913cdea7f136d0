"""The container engine: images, build containers, test-bed hosts."""
