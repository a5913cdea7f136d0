"""What the logs of Ambari's server and agents say when something does not come up: probable cause and what to do.

The texts were read in the sources of Ambari 2.7 to 3.0 and in those of its database drivers. The order counts: what
is more particular comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """Why, and what to do."""

    message: str
    hint: str
    lasting: bool = False
    """Waiting does not help."""


@dataclass(frozen=True)
class _Sign:
    pattern: str
    message: str
    hint: str
    lasting: bool = False


_PASSWORD = "is ambari.setup.database.password the one that the database's user has?"
_JAVA = "set ambari.setup.java_home to a JDK that this Ambari supports: 8 for 2.7 and 2.8, 8 or 17 for 3.0"

_SERVER = (
    _Sign(
        r"password authentication failed for user|Access denied for user",
        "the database refuses the password",
        _PASSWORD,
    ),
    _Sign(
        r"no pg_hba.conf entry for|is not allowed to connect to this M",
        "the database does not let the Ambari server's host in",
        "allow Ambari's user from that host: pg_hba.conf of PostgreSQL, the user's host of MySQL",
    ),
    _Sign(
        r"database \"?\S+\"? does not exist|Unknown database",
        "the database does not exist",
        "make it, or let ambari.setup.database.create be true for a database on one of the hosts",
    ),
    _Sign(
        r"relation \"\S+\" does not exist|Table '\S+' doesn't exist",
        "Ambari's tables are not in the database, or in another schema of it",
        "run the command again: it loads them into an empty database",
    ),
    _Sign(
        r"ClassNotFoundException: (com\.mysql|org\.postgresql)|Before starting Ambari Server, you must copy",
        "the JDBC driver is missing",
        "name it as ambari.setup.database.driver, and its package as driver_package",
    ),
    _Sign(
        r"Communications link failure|Connection to \S+ refused|Unable to start PostgreSQL"
        r"|The connection attempt failed|could not connect to server|Can't connect to",
        "the database does not answer",
        "does it run, and does a firewall let the Ambari server's host through?",
    ),
    _Sign(
        r"keystore password was incorrect|DerInputStream|Failed to load keystore|bad key|KeyStoreException",
        "the HTTPS keystore cannot be read",
        "are ambari.setup.https.certificate and key a pair, and the key's password right?",
    ),
    _Sign(
        r"Address already in use|BindException",
        "a port of the server is taken (8080 or the HTTPS port, 8440, 8441)",
        "ss -ltnp on the host shows by whom",
    ),
    _Sign(
        r"Unrecognized VM option|UnsupportedClassVersionError|Could not create the Java Virtual Machine",
        "the JDK does not fit",
        _JAVA,
    ),
    _Sign(r"No JDK found|Path to java home \S+ or java binary file does not exist", "there is no JDK", _JAVA),
    _Sign(
        r"DB_CHECK_ERROR|DB configs consistency check failed",
        "Ambari's check of its database found it inconsistent",
        "see ambari-server-check-database.log on the host; `ambari-server start --auto-fix-database` may mend it",
    ),
    _Sign(
        r"OutOfMemoryError|Cannot allocate memory",
        "the host has too little memory",
        "an Ambari server wants 2 GiB of its own",
    ),
    _Sign(r"No space left on device", "a disk of the host is full", "make room below /var"),
    _Sign(
        r"Nothing to do|Unable to find a match|No match for argument|No package ambari-server",
        "the repository has no such package",
        "does ambari.setup.repository hold it, in ambari.setup.version, for this platform?",
    ),
    _Sign(
        r"GPG check FAILED|is not signed|Public key for \S+ is not installed",
        "the package's signature cannot be checked",
        "give ambari.setup.gpg_key, the address of the key that Ambari's packages are signed with",
    ),
    _Sign(
        r"Failed to download metadata|Cannot download repomd|repomd\.xml.*(404|Not Found)|Could not resolve host",
        "Ambari's repository cannot be reached from the host",
        "is ambari.setup.repository the folder that holds repodata, and does the host reach it?",
    ),
)

_AGENT = (
    _Sign(
        r"non compatible agent version.*agentVersion=(?P<agent>[^,\s]*).*serverVersion=(?P<server>[^,\s\"']*)",
        "the server refuses the agent's version {agent}: its own is {server}",
        "install ambari-agent {server} there; the versions must be the same in all four numbers",
        lasting=True,
    ),
    _Sign(
        r"not supported OS type.*agentOsType=(?P<os>[^,\s\"']*)",
        "the server does not support the host's operating system, {os}",
        "what it supports stands in os_family.json in ambari_commons/resources of both, server and agent",
        lasting=True,
    ),
    _Sign(
        r"hostname \((?P<own>\S*)\) does not match expected",
        "the host calls itself {own}",
        "make `hostname -f` print the name of the inventory",
        lasting=True,
    ),
    _Sign(
        r"Two-way SSL authentication failed|Certificate signing failed|certificate verify failed|bad certificate"
        r"|certificate unknown|tlsv1 alert",
        "TLS with the server fails: the agent's keys are another server's, or an earlier one's",
        "stop the agent, run `ambari-agent reset {wanted}` on the host and start it",
    ),
    _Sign(
        r"wrong version number|unsupported protocol|no protocols available|EOF occurred in violation of protocol",
        "agent and server find no common TLS protocol",
        "set force_https_protocol=PROTOCOL_TLSv1_2 in [security] of ambari-agent.ini, or look for a proxy between them",
    ),
    _Sign(
        r"Name or service not known|Temporary failure in name resolution|nodename nor servname",
        "the host cannot resolve the server's name {wanted}",
        "give the host a name service or an entry of /etc/hosts that knows it",
    ),
    _Sign(
        r"Server at \S+ is not reachable|Failed to connect to|Could not connect to|Connection refused|timed out"
        r"|No route to host",
        "the agent does not reach the server {wanted}",
        "does the server run, and does a firewall let ports 8440 and 8441 through?",
    ),
    _Sign(
        r"ambari_commons folder mismatch",
        "agent and server on the same host are of different versions",
        "install both in the same version",
    ),
)


def server_cause(text: str) -> Cause | None:
    """The probable cause in the last lines of the server's logs, or of its installation."""
    return _cause(_SERVER, text, {})


def agent_cause(text: str, server: str) -> Cause | None:
    """The probable cause in the last lines of an agent's log; ``server`` is where it should register. What stands
    last in the log counts, because the agent tries for ever."""
    for line in reversed(text.splitlines()):
        if "Registration response received" in line:
            # What stands before it is past; a refusal stands after it.
            return None
        found = _cause(_AGENT, line, {"wanted": server})
        if found is not None:
            return found
    return None


def _cause(signs: tuple[_Sign, ...], text: str, words: dict[str, str]) -> Cause | None:
    for sign in signs:
        found = re.search(sign.pattern, text)
        if found is not None:
            known = {**words, **found.groupdict()}
            return Cause(sign.message.format(**known), sign.hint.format(**known), sign.lasting)
    return None
