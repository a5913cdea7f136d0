"""The command line: its commands, their options, and the views of a run."""
