"""Scripts for HDFS's own rolling upgrade, run as its user on a host with a NameNode."""

from __future__ import annotations

from shlex import quote

READY, NONE = "Proceed with rolling upgrade", "no rolling upgrade in progress"
"""What ``QUERY`` prints while there is an image to go back to, and while there is none."""
QUERY, FINALIZE = "hdfs dfsadmin -rollingUpgrade query", "hdfs dfsadmin -rollingUpgrade finalize"
PREPARE = f"""hdfs dfsadmin -rollingUpgrade prepare || exit 1
while ! hdfs dfsadmin -rollingUpgrade query | grep -q '{READY}'; do sleep 5; done
"""
SINGLE = f"""hdfs dfsadmin -safemode enter || exit 1
trap 'hdfs dfsadmin -safemode leave' EXIT
{PREPARE}"""
"""A single NameNode writes the image itself, and demands safe mode for it; several leave it to a standby."""
LOGIN = "kinit -kt {keytab} {principal} || exit 1\n"


def login(keytab: str, principal: str) -> str:
    """Return what the scripts begin with in a cluster with Kerberos."""
    return LOGIN.format(keytab=quote(keytab), principal=quote(principal))
