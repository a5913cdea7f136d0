"""The vocabulary: errors, digests, events and the shape of every file a user writes."""
