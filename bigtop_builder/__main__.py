"""``python -m bigtop_builder``."""

from bigtop_builder.cli.app import main

if __name__ == "__main__":
    main()
