"""``python -m bigtop_builder``."""

from bigtop_builder.face.cli import main

if __name__ == "__main__":
    main()
