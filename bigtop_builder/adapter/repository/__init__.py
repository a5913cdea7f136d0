"""Published yum repositories on a local file system."""

import os
from pathlib import Path

if not Path("/usr/lib/rpm/rpmrc").exists():
    # On a machine without rpm, librpm in createrepo-c prints a line that begins with "error:" when it is loaded.
    os.environ.setdefault("RPM_CONFIGDIR", str(Path(__file__).with_name("rpm")))
