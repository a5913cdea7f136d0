"""Find the probable cause in the logs of an Ambari server or agent that does not start, and what to do about it.

The texts come from the sources of Ambari 2.7 to 3.0 and of its database drivers. The order matters: more specific
patterns come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """Why something failed, and what to do."""

    message: str
    hint: str
    lasting: bool = False
    """Whether waiting is pointless."""


@dataclass(frozen=True)
class _Sign:
    pattern: str
    message: str
    hint: str
    lasting: bool = False


_PASSWORD = "check that ambari.setup.database.password is the password of the database user"
_JAVA = "set ambari.setup.java_home to a JDK that this Ambari supports: 8 for 2.7 and 2.8, 8 or 17 for 3.0"

_SERVER = (
    _Sign(
        r"could not extend file|could not write to file .*No space left|The table '\S+' is full|unable to extend table",
        "the database has no space left",
        "free some space on the database's host, then start the server again",
    ),
    _Sign(
        r"password authentication failed for user|Access denied for user",
        "the database rejects the password",
        _PASSWORD,
    ),
    _Sign(
        r"no pg_hba.conf entry for|is not allowed to connect to this M",
        "the database does not allow connections from the Ambari server's host",
        "allow Ambari's user from that host: pg_hba.conf of PostgreSQL, the user's host of MySQL",
    ),
    _Sign(
        r"database \"?\S+\"? does not exist|Unknown database",
        "the database does not exist",
        "create it, or set ambari.setup.database.create: true for a database on one of the hosts",
    ),
    _Sign(
        r"relation \"\S+\" does not exist|Table '\S+' doesn't exist",
        "Ambari's tables are missing from the database, or are in another schema",
        "run the command again: it loads the tables into an empty database",
    ),
    _Sign(
        r"ClassNotFoundException: (com\.mysql|org\.postgresql)|Before starting Ambari Server, you must copy",
        "the JDBC driver is missing",
        "set ambari.setup.database.driver, and driver_package to the package that contains it",
    ),
    _Sign(
        r"Communications link failure|Connection to \S+ refused|Unable to start PostgreSQL"
        r"|The connection attempt failed|could not connect to server|Can't connect to",
        "the database does not answer",
        "check that it is running, and that no firewall blocks the Ambari server's host",
    ),
    _Sign(
        r"keystore password was incorrect|DerInputStream|Failed to load keystore|bad key|KeyStoreException",
        "the HTTPS keystore cannot be read",
        "check that ambari.setup.https.certificate and key are a pair, and that the key's password is right",
    ),
    _Sign(
        r"Address already in use|BindException",
        "a port of the server is in use (8080 or the HTTPS port, 8440, 8441)",
        "ss -ltnp on the host shows the program",
    ),
    _Sign(
        r"Unrecognized VM option|UnsupportedClassVersionError|Could not create the Java Virtual Machine",
        "the JDK is not suitable",
        _JAVA,
    ),
    _Sign(r"No JDK found|Path to java home \S+ or java binary file does not exist", "no JDK was found", _JAVA),
    _Sign(
        r"DB_CHECK_ERROR|DB configs consistency check failed",
        "Ambari found its database inconsistent",
        "see ambari-server-check-database.log on the host; `ambari-server start --auto-fix-database` may repair it",
    ),
    _Sign(
        r"OutOfMemoryError|Cannot allocate memory",
        "the host has too little memory",
        "an Ambari server needs 2 GiB for itself",
    ),
    _Sign(r"No space left on device", "a disk of the host is full", "free some space below /var"),
    _Sign(
        r"Nothing to do|Unable to find a match|No match for argument|No package ambari-server",
        "the package is not in the repository",
        "check that ambari.setup.repository has it for this platform, in the version ambari.setup.version",
    ),
    _Sign(
        r"GPG check FAILED|is not signed|Public key for \S+ is not installed",
        "the package's signature cannot be verified",
        "set ambari.setup.gpg_key to the address of the key that signed Ambari's packages",
    ),
    _Sign(
        r"Failed to download metadata|Cannot download repomd|repomd\.xml.*(404|Not Found)|Could not resolve host",
        "the host cannot reach Ambari's repository",
        "check that ambari.setup.repository is the folder that contains repodata, and reachable from the host",
    ),
)

_AGENT = (
    _Sign(
        r"non compatible agent version.*agentVersion=(?P<agent>[^,\s]*).*serverVersion=(?P<server>[^,\s\"']*)",
        "the server has version {server} and rejects the agent's version {agent}",
        "install ambari-agent {server} there; all four numbers of the versions must match",
        lasting=True,
    ),
    _Sign(
        r"not supported OS type.*agentOsType=(?P<os>[^,\s\"']*)",
        "the server does not support the host's operating system, {os}",
        "supported systems are listed in ambari_commons/resources/os_family.json, on the server and on the agent",
        lasting=True,
    ),
    _Sign(
        r"hostname \((?P<own>\S*)\) does not match expected",
        "the host calls itself {own}",
        "make `hostname -f` print the host's name in the inventory",
        lasting=True,
    ),
    _Sign(
        r"certificate (?:has |is )?(?:expired|not yet valid)",
        "a certificate between the agent and the server is not valid today",
        "compare the clocks; Ambari's own authority ends after a year: move ca.* and keystore.p12 out of "
        "/var/lib/ambari-server/keys and restart the server, then run `ambari-agent reset {wanted}` on the hosts",
    ),
    _Sign(
        r"Two-way SSL authentication failed|Certificate signing failed|certificate verify failed|bad certificate"
        r"|certificate unknown|tlsv1 alert",
        "TLS with the server fails: the agent's keys belong to another or a former server",
        "stop the agent, run `ambari-agent reset {wanted}` on the host and start it",
    ),
    _Sign(
        r"wrong version number|unsupported protocol|no protocols available|EOF occurred in violation of protocol",
        "agent and server have no TLS protocol in common",
        "set force_https_protocol=PROTOCOL_TLSv1_2 in [security] of ambari-agent.ini, or look for a proxy in between",
    ),
    _Sign(
        r"Name or service not known|Temporary failure in name resolution|nodename nor servname",
        "the host cannot resolve the server's name {wanted}",
        "fix the host's DNS, or add the name to its /etc/hosts",
    ),
    _Sign(
        r"Server at \S+ is not reachable|Failed to connect to|Could not connect to|Connection refused|timed out"
        r"|No route to host",
        "the agent cannot reach the server {wanted}",
        "check that the server is running, and that no firewall blocks ports 8440 and 8441",
    ),
    _Sign(
        r"ambari_commons folder mismatch",
        "agent and server on the same host have different versions",
        "install both in the same version",
    ),
)


def server_cause(text: str) -> Cause | None:
    """Return the probable cause from the last lines of the server's logs, or of its installation."""
    return _cause(_SERVER, text, {})


def agent_cause(text: str, server: str) -> Cause | None:
    """Return the probable cause from the last lines of an agent's log.

    ``server``: where the agent should register. The last match counts, because the agent retries forever.
    """
    for line in reversed(text.splitlines()):
        if "Registration response received" in line:
            # Earlier errors are resolved; a refusal would follow this line.
            return None
        found = _cause(_AGENT, line, {"wanted": server})
        if found is not None:
            return found
    return None


def registers(text: str) -> bool:
    """Return whether the last registration in an agent's log succeeded, with whatever server."""
    return "Registration response received" in text and agent_cause(text, "") is None


def _cause(signs: tuple[_Sign, ...], text: str, words: dict[str, str]) -> Cause | None:
    for sign in signs:
        found = re.search(sign.pattern, text)
        if found is not None:
            known = {**words, **found.groupdict()}
            return Cause(sign.message.format(**known), sign.hint.format(**known), sign.lasting)
    return None
