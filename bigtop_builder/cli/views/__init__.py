"""Views: what people and programs are shown of a run, as folds over its events."""
