"""Mistakes that operators make in inventories: each gets one message with its place, and a hint where one helps.

``test_deploy_bad_input`` has those that need a server or a command line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bigtop_builder.model.base import EXAMPLES
from bigtop_builder.model.errors import ConfigurationError, ConfigurationErrors
from bigtop_builder.model.inventory import Inventory
from bigtop_builder.recipe.inventory import load_inventory
from tests.fast import test_deploy_bad_input as bad_input
from tests.fast.test_deploy_bad_input import INVENTORY, add, first, password, swap

BASE = INVENTORY.replace("URL", "http://a.test:8080")
ADMIN = "kdc_hosts: [k.x.test], admin_principal: a/admin, admin_password: 'env:X'"
Edit = Callable[[str], str]


def ssh(keys: str) -> Edit:
    return swap("user: root", keys)


def setup(keys: str) -> Edit:
    return swap("{url", f"{{setup: {{host: node1.x.test, repository: 'http://r.test', {keys}}}, url")


def repo(entries: str) -> Edit:
    return swap('{url: "file:///nowhere/el8"}', entries)


def conf(types: str) -> Edit:
    return swap("zoo.cfg: {tickTime: 2000}", types)


def kerberos(keys: str) -> Edit:
    return add(f"security: {{kerberos: {{{keys}}}}}")


def prepare(keys: str) -> Edit:
    return add(f"prepare: {{{keys}}}")


def alone(entries: str) -> Edit:
    return add(f"standalone: {{{entries}}}")


def job(entries: str) -> Edit:
    return add(f"jobs: {{{entries}}}")


MISTAKES: dict[str, tuple[Edit, int, str, str, str]] = {
    # mistake: (edit, line, path, message, begin of the hint)
    "SSH: user with a domain": (
        ssh("user: root@example"),
        2,
        "ssh.user",
        "is invalid (found 'root@example')",
        "For example: deploy, in lower case and without a domain.",
    ),
    "SSH: port that is a word": (ssh("port: ssh"), 2, "ssh.port", "must be a whole number (found 'ssh')", ""),
    "SSH: port of zero": (ssh("port: 0"), 2, "ssh.port", "must be at least 1 (found 0)", ""),
    "SSH: sudo with a user": (ssh("sudo: deploy"), 2, "ssh.sudo", "must be true or false (found 'deploy')", ""),
    "SSH: host keys ignored": (
        ssh("host_keys: ignore"),
        2,
        "ssh.host_keys",
        "must be 'strict' or 'accept-new' (found 'ignore')",
        "Known: accept-new, strict.",
    ),
    "SSH: jump host as a text": (
        ssh("jump: bastion.x.test"),
        2,
        "ssh.jump",
        "must be a mapping (found 'bastion.x.test')",
        "Its keys: host, port, user.",
    ),
    "SSH: jump host without host": (
        ssh("jump: {user: me}"),
        2,
        "ssh.jump",
        "the key 'host' is missing",
        "For example: host: node1.example.com or 192.0.2.1, without user and port",
    ),
    "SSH: jump host with a user in it": (
        ssh("jump: {host: me@bastion.x.test}"),
        2,
        "ssh.jump.host",
        "is invalid (found 'me@bastion.x.test')",
        "For example: node1.example.com or 192.0.2.1, without user and port.",
    ),
    "SSH: time limit without unit": (
        ssh("command_timeout: 30"),
        2,
        "ssh.command_timeout",
        "must be text (found 30)",
        "For example: 90s, 40m or 2h.",
    ),
    "SSH: OpenSSH's word": (
        ssh("identity_file: id"),
        2,
        "ssh.identity_file",
        "unknown key 'identity_file'",
        "Known: agent, command_timeout, connect_timeout, host_keys, jump, key,",
    ),
    "SSH: Ansible's word": (ssh("ssh_user: root"), 2, "ssh.ssh_user", "unknown key 'ssh_user'", "Did you mean user?"),
    "SSH: several keys": (
        swap("key: id", "key: [id, other]"),
        2,
        "ssh.key",
        "must be text",
        "Write one value, without brackets.",
    ),
    "Ambari: no user": (swap("{url", "{user: '', url"), 3, "ambari.user", "must not be empty (found '')", ""),
    "Ambari: another word for the user": (
        swap("{url", "{username: admin, url"),
        3,
        "ambari.username",
        "unknown key 'username'",
        "Did you mean user?",
    ),
    "Ambari: no password": (
        swap(', password: "env:TEST_PASSWORD"', ""),
        3,
        "ambari",
        "the key 'password' is missing",
        "For example: password: env:NAME, file:PATH, command:COMMAND LINE or",
    ),
    "Ambari: no address": (
        swap("url: http://a.test:8080, ", ""),
        3,
        "ambari",
        "the key 'url' is missing",
        "For example: url: https://ambari.example.com:8443",
    ),
    "Ambari: an address alone": (
        swap('{url: http://a.test:8080, password: "env:TEST_PASSWORD"}', "http://a.test:8080"),
        3,
        "ambari",
        "must be a mapping (found 'http://a.test:8080')",
        "Its keys: ca, password, poll, registration_timeout, request_timeout,",
    ),
    "Ambari: time limit in days": (
        swap("{url", "{request_timeout: 1d, url"),
        3,
        "ambari.request_timeout",
        "is invalid (found '1d')",
        "For example: 90s, 40m or 2h.",
    ),
    "secret: variable as in a shell": (
        password("'${TEST_PASSWORD}'"),
        3,
        "ambari.password",
        "must say where the secret is, not the secret itself",
        "For example: env:NAME, file:PATH, command:COMMAND LINE or prompt.",
    ),
    "secret: variable with a dollar sign": (
        password("'env:$TEST_PASSWORD'"),
        3,
        "ambari.password",
        "must say where the secret is, not the secret itself",
        "For example: env:NAME, file:PATH, command:COMMAND LINE or prompt.",
    ),
    "secret: in a vault": (
        password("'vault:ambari'"),
        3,
        "ambari.password",
        "must say where the secret is, not the secret itself",
        "For example: env:NAME, file:PATH, command:COMMAND LINE or prompt.",
    ),
    "setup: without host": (
        swap("{url", "{setup: {repository: 'http://r'}, url"),
        3,
        "ambari.setup",
        "the key 'host' is missing",
        "For example: host: node1.example.com or 192.0.2.1, without user and port",
    ),
    "setup: without repository": (
        swap("{url", "{setup: {host: node1.x.test}, url"),
        3,
        "ambari.setup",
        "the key 'repository' is missing",
        "For example: repository: https://repo.example.com/bigtop-3.2.0/el8",
    ),
    "setup: repository without scheme": (
        swap("{url", "{setup: {host: node1.x.test, repository: r.test/ambari}, url"),
        3,
        "ambari.setup.repository",
        "is invalid (found 'r.test/ambari')",
        "For example: https://repo.example.com/bigtop-3.2.0/el8.",
    ),
    "setup: version of two numbers": (
        setup("version: '3.0'"),
        3,
        "ambari.setup.version",
        "is invalid (found '3.0')",
        'For example: "3.0.0.0", without a release.',
    ),
    "setup: version as a number": (
        setup("version: 3.0"),
        3,
        "ambari.setup.version",
        "must be text (found 3.0)",
        'For example: "3.0.0.0", without a release.',
    ),
    "setup: version with a release": (
        setup("version: 3.0.0.0-1"),
        3,
        "ambari.setup.version",
        "is invalid (found '3.0.0.0-1')",
        'For example: "3.0.0.0", without a release.',
    ),
    "setup: relative Java home": (
        setup("java_home: jdk8"),
        3,
        "ambari.setup.java_home",
        "must be an absolute path without '..' (found 'jdk8')",
        "",
    ),
    "setup: Ambari's word for the database": (
        setup("database: {kind: postgres}"),
        3,
        "ambari.setup.database.kind",
        "must be 'embedded', 'postgresql', 'mysql' or 'mariadb' (found 'postgres')",
        "Did you mean postgresql?",
    ),
    "setup: unsupported database": (
        setup("database: {kind: oracle}"),
        3,
        "ambari.setup.database.kind",
        "must be 'embedded', 'postgresql', 'mysql' or 'mariadb' (found 'oracle')",
        "Known: embedded, mariadb, mysql, postgresql.",
    ),
    "setup: database's name with a dash": (
        setup("database: {kind: mysql, password: env:X, name: ambari-db}"),
        3,
        "ambari.setup.database.name",
        "is invalid (found 'ambari-db')",
        "For example: ambari, of letters, digits and _.",
    ),
    "setup: database's port": (
        setup("database: {kind: mysql, password: env:X, port: 70000}"),
        3,
        "ambari.setup.database.port",
        "must be at most 65535 (found 70000)",
        "",
    ),
    "setup: embedded database elsewhere": (
        setup("database: {kind: embedded, host: db.x.test}"),
        3,
        "ambari.setup.database.host",
        "the embedded database is on node1.x.test, not on db.x.test",
        "Remove host, or say which kind of database that one is.",
    ),
    "setup: driver of MariaDB": (
        setup("drivers: {mariadb: {package: x}}"),
        3,
        "ambari.setup.drivers.mariadb",
        "must be 'mysql' or 'postgresql' (found 'mariadb')",
        "Known: mysql, postgresql.",
    ),
    "setup: driver from nowhere": (
        setup("drivers: {mysql: {}}"),
        3,
        "ambari.setup.drivers.mysql",
        "path or package is required",
        "",
    ),
    "setup: driver twice": (
        setup("database: {kind: mysql, password: env:X}, drivers: {mysql: {package: x}}"),
        3,
        "ambari.setup",
        "database registers the driver for mysql, so drivers must not have another one",
        "",
    ),
    "setup: HTTPS without key": (
        setup("https: {certificate: c.pem}"),
        3,
        "ambari.setup.https",
        "the key 'key' is missing",
        "",
    ),
    "setup: HTTPS switched on": (
        setup("https: true"),
        3,
        "ambari.setup.https",
        "must be a mapping (found True)",
        "Its keys: certificate, key, key_password, port.",
    ),
    "setup: agents as a service's account": (
        setup("agent_user: hdfs"),
        3,
        "ambari.setup.agent_user",
        "hdfs is the account of a service, which would get the agent's rights",
        "Choose an account of its own, such as ambari.",
    ),
    "setup: on localhost": (
        swap("{url", "{setup: {host: localhost, repository: 'http://r'}, url"),
        3,
        "ambari.setup.host",
        "localhost is every host's name for itself",
        "Ambari knows hosts by the name that `hostname -f` prints there:",
    ),
    "setup: on an address": (
        swap("{url", "{setup: {host: 192.0.2.9, repository: 'http://r'}, url"),
        3,
        "ambari.setup.host",
        "192.0.2.9 is not a host name",
        "Ambari knows hosts by the name that `hostname -f` prints there:",
    ),
    "setup: on the short name of a host": (
        swap("{url", "{setup: {host: node1, repository: 'http://r'}, url"),
        3,
        "ambari.setup.host",
        "node1 and node1.x.test are two names of one host",
        "Ambari knows hosts by the name that `hostname -f` prints there:",
    ),
    "repositories: one without a list": (
        swap('[{url: "file:///nowhere/el8"}]', "{url: 'http://r.test'}"),
        4,
        "repositories",
        "must be a list",
        "Write a list: begin each entry with a dash.",
    ),
    "repositories: addresses alone": (
        repo("'http://r.test/el8'"),
        4,
        "repositories[0]",
        "must be a mapping (found 'http://r.test/el8')",
        "Its keys: credentials, gpg_check, gpg_key, id, proxy,",
    ),
    "repositories: without address": (
        repo("{id: A}"),
        4,
        "repositories[0]",
        "the key 'url' is missing",
        "For example: url: https://repo.example.com/bigtop-3.2.0/el8",
    ),
    "repositories: yum's word for the address": (
        repo("{baseurl: 'http://r.test'}"),
        4,
        "repositories[0]",
        "the key 'url' is missing",
        "For example: url: https://repo.example.com/bigtop-3.2.0/el8",
    ),
    "repositories: yum's word for checks": (
        repo("{url: 'http://r.test', gpgcheck: 1}"),
        4,
        "repositories[0].gpgcheck",
        "unknown key 'gpgcheck'",
        "Did you mean gpg_check or repo_gpg_check?",
    ),
    "repositories: id with a blank": (
        repo("{id: 'my repo', url: 'http://r.test'}"),
        4,
        "repositories[0].id",
        "is invalid (found 'my repo')",
        "For example: BIGTOP-3.2.0, of letters, digits, ., _ and -.",
    ),
    "repositories: two of one id": (
        repo("{id: A, url: 'http://r.test'}, {id: A, url: 'http://s.test'}"),
        4,
        "repositories[1]",
        "repositories[0] has the id A, too",
        "Give each repository an id of its own, or none: then each gets one.",
    ),
    "repositories: two of one address": (
        repo("{url: 'http://r.test'}, {url: 'http://r.test/'}"),
        4,
        "repositories[1].url",
        "repositories[0] has this address, too",
        "Name each repository once.",
    ),
    "repositories: one is not checked": (
        repo("{url: 'http://r.test'}, {url: 'http://s.test', gpg_check: false}"),
        4,
        "repositories[0]",
        "gpg_check differs between repositories: true for BIGTOP-3.2.0, false for BIGTOP-3.2.0-2",
        "Ambari writes the files of agents from one template: give all",
    ),
    "repositories: password in the address": (
        repo("{url: 'http://me:pw@r.test'}"),
        4,
        "repositories[0].url",
        "a user or password is in this address",
        "Write credentials: {user: env:NAME, password: env:NAME} instead.",
    ),
    "repositories: password in a wrong address": (
        repo("{url: 'htp://me:pw@r.test'}"),
        4,
        "repositories[0].url",
        "is invalid",
        "For example: https://repo.example.com/bigtop-3.2.0/el8.",
    ),
    "repositories: variable in braces": (
        repo("{url: 'http://r.test/{basearch}'}"),
        4,
        "repositories[0].url",
        "{basearch} is not replaced by anything",
        "Write $basearch, as yum does.",
    ),
    "repositories: unknown placeholder": (
        repo("{url: 'http://r.test/{os}'}"),
        4,
        "repositories[0].url",
        "{os} is not replaced by anything",
        "{family} alone is replaced; yum knows $basearch.",
    ),
    "repositories: credentials as they are": (
        repo("{url: 'http://r.test', credentials: {user: me, password: 'env:P'}}"),
        4,
        "repositories[0].credentials.user",
        "must say where the secret is, not the secret itself",
        "For example: env:NAME, file:PATH, command:COMMAND LINE or prompt.",
    ),
    "repositories: user without password": (
        repo("{url: 'http://r.test', credentials: {user: 'env:U'}}"),
        4,
        "repositories[0].credentials",
        "the key 'password' is missing",
        "For example: password: env:NAME, file:PATH, command:COMMAND LINE or",
    ),
    "repositories: yum's word for the user": (
        repo("{url: 'http://r.test', username: me}"),
        4,
        "repositories[0].username",
        "unknown key 'username'",
        "Known: credentials, gpg_check, gpg_key, id, proxy, proxy_credentials,",
    ),
    "repositories: proxy without scheme": (
        repo("{url: 'http://r.test', proxy: 'proxy.x.test:3128'}"),
        4,
        "repositories[0].proxy",
        "is invalid (found 'proxy.x.test:3128')",
        "For example: http://proxy.example.com:3128 (credentials go into",
    ),
    "repositories: password in the proxy": (
        repo("{url: 'http://r.test', proxy: 'http://me:pw@p.x.test:1'}"),
        4,
        "repositories[0].proxy",
        "is invalid",
        "For example: http://proxy.example.com:3128 (credentials go into",
    ),
    "repositories: user of no proxy": (
        repo("{url: 'http://r.test', proxy_credentials: {user: 'env:U', password: 'env:P'}}"),
        4,
        "repositories[0].proxy_credentials",
        "proxy_credentials are given, but no proxy",
        "Add proxy: http://proxy.example.com:3128.",
    ),
    "repositories: key is a path": (
        repo("{url: 'http://r.test', gpg_key: /etc/key}"),
        4,
        "repositories[0].gpg_key",
        "is invalid (found '/etc/key')",
        "For example: https://repo.example.com/bigtop-3.2.0/el8.",
    ),
    "repositories: in S3": (
        repo("{url: 's3://bucket/el8'}"),
        4,
        "repositories[0].url",
        "is invalid (found 's3://bucket/el8')",
        "For example: https://repo.example.com/bigtop-3.2.0/el8.",
    ),
    "stack: name and version in one": (
        add("stack: BIGTOP-3.2.0"),
        14,
        "stack",
        "must be a mapping (found 'BIGTOP-3.2.0')",
        "Its keys: name, packages, repository_version, version.",
    ),
    "stack: name in small letters": (
        add("stack: {name: bigtop}"),
        14,
        "stack.name",
        "is invalid (found 'bigtop')",
        "For example: BIGTOP, in capitals.",
    ),
    "stack: version with a release": (
        add("stack: {repository_version: 3.2.0-1.el8}"),
        14,
        "stack.repository_version",
        "is invalid (found '3.2.0-1.el8')",
        'For example: "3.2.0".',
    ),
    "stack: packages": (
        add("stack: {packages: newest}"),
        14,
        "stack.packages",
        "must be 'present' or 'latest' (found 'newest')",
        "Known: latest, present.",
    ),
    "groups: a list": (
        lambda _: "cluster: c1\ngroups:\n  - hosts: [node1.x.test]\n",
        2,
        "groups",
        "must be a mapping",
        "Write KEY: VALUE, without dashes.",
    ),
    "groups: name with a blank": (
        swap("first:", "'my group':"),
        6,
        "groups.my group",
        "is invalid (found 'my group')",
        "For example: workers, of letters, digits, _ and -.",
    ),
    "groups: components as a text": (
        swap("components: [ZOOKEEPER_SERVER, ZOOKEEPER_CLIENT]\n  others", "components: ZOOKEEPER_SERVER\n  others"),
        8,
        "groups.first.components",
        "must be a list (found 'ZOOKEEPER_SERVER')",
        "Write a list: [ZOOKEEPER_SERVER]",
    ),
    "groups: component in small letters": (
        first("zookeeper_server"),
        8,
        "groups.first.components[0]",
        "is invalid (found 'zookeeper_server')",
        "For example: ZOOKEEPER or ZOOKEEPER_SERVER, as Ambari writes it.",
    ),
    "groups: misspelt key of a component": (
        first("{name: ZOOKEEPER_SERVER, provison: INSTALL_ONLY}"),
        8,
        "groups.first.components[0].provison",
        "unknown key 'provison'",
        "Did you mean provision?",
    ),
    "groups: misspelt key of a group": (
        swap("    hosts: [node1.x.test]", "    hosts: [node1.x.test]\n    configuration: {a: {b: 1}}"),
        8,
        "groups.first.configuration",
        "unknown key 'configuration'",
        "Did you mean configurations?",
    ),
    "groups: rack without slash": (
        swap("    hosts: [node1.x.test]", "    hosts: [node1.x.test]\n    rack: r1"),
        8,
        "groups.first.rack",
        "is invalid (found 'r1')",
        "For example: /dc1/rack2.",
    ),
    "hosts: range of letters": (
        swap("[2-3]", "[a-c]"),
        10,
        "groups.others.hosts[0]",
        "invalid [a-c] in the host range 'node[a-c].x.test'",
        "Write numbers from low to high: node[01-50].example.com.",
    ),
    "hosts: far too many": (
        swap("[2-3]", "[1-200][1-200]"),
        10,
        "groups.others.hosts[0]",
        "the host range 'node[1-200][1-200].x.test' has 40000 hosts",
        "The limit is 10000.",
    ),
    "hosts: range as in a shell": (
        swap("node[2-3]", "node{2..3}"),
        10,
        "groups.others.hosts[0]",
        "is invalid (found 'node{2..3}.x.test')",
        "For example: node1.example.com or node[01-50].example.com.",
    ),
    "hosts: two in one text": (
        swap("[node1.x.test]", "['node1.x.test,node9.x.test']"),
        7,
        "groups.first.hosts[0]",
        "invalid host range 'node1.x.test,node9.x.test'",
        "Write node[01-50].example.com.",
    ),
    "hosts: name with an underscore": (
        swap("node1.x.test", "node_1.x.test"),
        7,
        "groups.first.hosts[0]",
        "is invalid (found 'node_1.x.test')",
        "For example: node1.example.com or node[01-50].example.com.",
    ),
    "hosts: user in the name": (
        swap("node1.x.test", "root@node1.x.test"),
        7,
        "groups.first.hosts[0]",
        "is invalid (found 'root@node1.x.test')",
        "For example: node1.example.com or node[01-50].example.com.",
    ),
    "hosts: port in the name": (
        swap("node1.x.test", "'node1.x.test:22'"),
        7,
        "groups.first.hosts[0]",
        "is invalid (found 'node1.x.test:22')",
        "For example: node1.example.com or node[01-50].example.com.",
    ),
    "hosts: address instead of settings": (
        add("hosts: {node1.x.test: 192.0.2.1}"),
        14,
        "hosts.node1.x.test",
        "must be a mapping (found '192.0.2.1')",
        "Its keys: address, jump, key, key_passphrase, password, port, rack,",
    ),
    "hosts: settings as a list": (
        add("hosts: [node1.x.test]"),
        14,
        "hosts",
        "must be a mapping",
        "Write KEY: VALUE, without dashes.",
    ),
    "hosts: Ansible's word for the address": (
        add("hosts: {node1.x.test: {ansible_host: 192.0.2.1}}"),
        14,
        "hosts.node1.x.test.ansible_host",
        "unknown key 'ansible_host'",
        "Known: address, jump, key, key_passphrase, password, port, rack, sudo,",
    ),
    "configurations: list as a value": (
        conf("zoo.cfg: {tickTime: [1]}"),
        13,
        "configurations.zoo.cfg.tickTime",
        "must be text, a whole number, a number or true or false",
        "Write one value, without brackets.",
    ),
    "configurations: value without property": (
        conf("zoo.cfg: 2000"),
        13,
        "configurations.zoo.cfg",
        "must be a mapping (found 2000)",
        "",
    ),
    "configurations: what Ambari exports for a password": (
        conf("hive-site: {a: 'SECRET:hive-site:1:x'}"),
        13,
        "configurations.hive-site.a",
        "is what Ambari exports in place of a password",
        "Write a: {secret: env:NAME}, or remove it and give default_password.",
    ),
    "configurations: final that is neither": (
        conf("core-site: {a: {value: 1, final: maybe}}"),
        13,
        "configurations.core-site.a.final",
        "must be true or false (found 'maybe')",
        "",
    ),
    "configurations: final without value": (
        conf("core-site: {a: {final: true}}"),
        13,
        "configurations.core-site.a",
        "the key 'value' is missing",
        "",
    ),
    "configurations: misspelt secret": (
        conf("core-site: {a: {secrt: env:A}}"),
        13,
        "configurations.core-site.a",
        "the key 'secret' is missing",
        "For example: secret: env:NAME, file:PATH, command:COMMAND LINE or prompt",
    ),
    "layout: misspelt": (
        add("layout: automatic"),
        14,
        "layout",
        "must be 'groups' or 'auto' (found 'automatic')",
        "Did you mean auto?",
    ),
    "layout: unknown size": (
        add("layout: {size: huge}"),
        14,
        "layout.size",
        "must be 'small' or 'from-facts' (found 'huge')",
        "Known: from-facts, small.",
    ),
    "recommendation: shortened": (
        add("recommendation: ALWAYS"),
        14,
        "recommendation",
        "must be 'NEVER_APPLY', 'ONLY_STACK_DEFAULTS_APPLY', 'ALWAYS_APPLY' or "
        "'ALWAYS_APPLY_DONT_OVERRIDE_CUSTOM_VALUES' (found 'ALWAYS')",
        "Did you mean ALWAYS_APPLY?",
    ),
    "Kerberos: KDC in short": (
        kerberos("realm: X.ORG, kdc_type: mit"),
        14,
        "security.kerberos.kdc_type",
        "must be 'mit-kdc', 'active-directory', 'ipa' or 'none' (found 'mit')",
        "Did you mean mit-kdc?",
    ),
    "Kerberos: without realm": (
        kerberos("kdc_type: none, kdc_hosts: [k.x.test]"),
        14,
        "security.kerberos",
        "the key 'realm' is missing",
        "",
    ),
    "Kerberos: without KDC": (
        kerberos("realm: X.ORG, kdc_type: mit-kdc, admin_principal: a/a, admin_password: env:X"),
        14,
        "security.kerberos",
        "kdc_type mit-kdc requires kdc_hosts: the key 'kdc_hosts' is missing",
        "For example: kdc_hosts: [kdc.example.com].",
    ),
    "Kerberos: without administrator": (
        kerberos("realm: X.ORG, kdc_type: mit-kdc, kdc_hosts: [k.x.test]"),
        14,
        "security.kerberos",
        "kdc_type mit-kdc requires admin_principal: the key 'admin_principal' is missing",
        "For example: admin_principal: admin/admin@X.ORG. If the KDC is",
    ),
    "Kerberos: Active Directory without LDAP": (
        kerberos(f"realm: X.ORG, kdc_type: active-directory, {ADMIN}"),
        14,
        "security.kerberos",
        "kdc_type active-directory requires ldap_url: the key 'ldap_url' is missing",
        "For example: ldap_url: ldaps://k.x.test.",
    ),
    "Kerberos: LDAP of another KDC": (
        kerberos(f"realm: X.ORG, kdc_type: mit-kdc, {ADMIN}, ldap_url: 'ldaps://x'"),
        14,
        "security.kerberos.ldap_url",
        "ldap_url is for kdc_type active-directory, but kdc_type is mit-kdc",
        "Remove it, or set kdc_type to active-directory.",
    ),
    "Kerberos: group of another KDC": (
        kerberos(f"realm: X.ORG, kdc_type: mit-kdc, {ADMIN}, user_group: x"),
        14,
        "security.kerberos.user_group",
        "user_group is for kdc_type ipa, but kdc_type is mit-kdc",
        "Remove it, or set kdc_type to ipa.",
    ),
    "Kerberos: plain LDAP": (
        kerberos(f"realm: X.ORG, kdc_type: active-directory, {ADMIN}, container_dn: 'OU=a', ldap_url: 'ldap://x'"),
        14,
        "security.kerberos.ldap_url",
        "is invalid (found 'ldap://x')",
        "For example: ldaps://ad1.example.com; passwords are not sent over plain",
    ),
    "Kerberos: switched on": (
        add("security: {kerberos: true}"),
        14,
        "security.kerberos",
        "must be a mapping (found True)",
        "Its keys: admin_password, admin_principal, admin_server, container_dn,",
    ),
    "Kerberos: Ambari's word": (
        add("security: KERBEROS"),
        14,
        "security",
        "must be a mapping (found 'KERBEROS')",
        "Its keys: kerberos.",
    ),
    "prepare: JDK by its path": (
        prepare("jdk: /usr/lib/jvm/java"),
        14,
        "prepare.jdk",
        "is invalid (found '/usr/lib/jvm/java')",
        "For example: java-17-openjdk-devel, a package's name without version",
    ),
    "prepare: Java home of a user": (
        prepare("java_home: ~/jdk"),
        14,
        "prepare.java_home",
        "must be an absolute path without '..' (found '~/jdk')",
        "",
    ),
    "prepare: SELinux off": (
        prepare("selinux: off"),
        14,
        "prepare.selinux",
        "must be 'permissive', 'enforcing', 'disabled' or 'keep' (found 'off')",
        "Known: disabled, enforcing, keep, permissive.",
    ),
    "prepare: firewall stopped": (
        prepare("firewall: stop"),
        14,
        "prepare.firewall",
        "must be 'keep' or 'disable' (found 'stop')",
        "Known: disable, keep.",
    ),
    "prepare: huge pages always": (
        prepare("transparent_huge_pages: always"),
        14,
        "prepare.transparent_huge_pages",
        "must be 'never', 'madvise' or 'keep' (found 'always')",
        "Known: keep, madvise, never.",
    ),
    "prepare: swappiness": (
        prepare("swappiness: 300"),
        14,
        "prepare.swappiness",
        "must be at most 200 (found 300)",
        "",
    ),
    "prepare: swappiness in percent": (
        prepare("swappiness: 1%"),
        14,
        "prepare.swappiness",
        "must be a whole number (found '1%')",
        "",
    ),
    "prepare: NTP servers without chrony": (
        prepare("chrony: false, ntp_servers: [ntp1.x.test]"),
        14,
        "prepare.ntp_servers",
        "ntp_servers are for chronyd, but chrony is false",
        "Remove chrony: false, or configure the servers in the service that",
    ),
    "prepare: NTP server as a URL": (
        prepare("ntp_servers: ['ntp://ntp1.x.test']"),
        14,
        "prepare.ntp_servers[0]",
        "is invalid (found 'ntp://ntp1.x.test')",
        "For example: node1.example.com or 192.0.2.1, without user and port.",
    ),
    "prepare: users as a list": (
        prepare("users: [alice]"),
        14,
        "prepare.users",
        "must be a mapping",
        "Write KEY: VALUE, without dashes.",
    ),
    "prepare: user in capitals": (
        prepare("users: {Alice: []}"),
        14,
        "prepare.users.Alice",
        "is invalid (found 'Alice')",
        "For example: deploy, in lower case and without a domain.",
    ),
    "prepare: package by its address": (
        prepare("packages: ['http://r.test/nmap.rpm']"),
        14,
        "prepare.packages[0]",
        "is invalid (found 'http://r.test/nmap.rpm')",
        "For example: java-17-openjdk-devel, a package's name without version",
    ),
    "prepare: limits as a number": (
        prepare("limits: 65536"),
        14,
        "prepare.limits",
        "must be true or false (found 65536)",
        "",
    ),
    "require: memory with a unit": (
        add("require: {memory: 8g}"),
        14,
        "require.memory",
        "must be a whole number (found '8g')",
        "",
    ),
    "require: negative memory": (
        add("require: {memory: -1}"),
        14,
        "require.memory",
        "must be at least 0 (found -1)",
        "",
    ),
    "stand-alone: without hosts": (alone("a: {packages: [x]}"), 14, "standalone.a", "the key 'hosts' is missing", ""),
    "stand-alone: mode without quotes": (
        alone("a: {hosts: [first], files: {/etc/x: {content: a, mode: 644}}}"),
        14,
        "standalone.a.files./etc/x.mode",
        "must be text (found 644)",
        "Put the value in quotes.",
    ),
    "stand-alone: mode as ls prints it": (
        alone("a: {hosts: [first], files: {/etc/x: {content: a, mode: 'rw-r--r--'}}}"),
        14,
        "standalone.a.files./etc/x.mode",
        "is invalid (found 'rw-r--r--')",
        'For example: "0644", in quotes.',
    ),
    "stand-alone: relative path of a file": (
        alone("a: {hosts: [first], files: {etc/x: {content: a}}}"),
        14,
        "standalone.a.files.etc/x",
        "must be an absolute path without '..' (found 'etc/x')",
        "",
    ),
    "stand-alone: content without its key": (
        alone("a: {hosts: [first], files: {/etc/x: hello}}"),
        14,
        "standalone.a.files./etc/x",
        "must be a mapping (found 'hello')",
        "Its keys: content, group, mode, owner.",
    ),
    "stand-alone: name of a service alone": (
        alone("a: {hosts: [first], services: [redis]}"),
        14,
        "standalone.a.services[0]",
        "must be a mapping (found 'redis')",
        "Its keys: enabled, health, name.",
    ),
    "stand-alone: service with a blank": (
        alone("a: {hosts: [first], services: [{name: 'redis server'}]}"),
        14,
        "standalone.a.services[0].name",
        "is invalid (found 'redis server')",
        "For example: redis, a unit's name without blanks.",
    ),
    "stand-alone: command without condition": (
        alone("a: {hosts: [first], run: [{name: x, command: y}]}"),
        14,
        "standalone.a.run[0]",
        "the key 'unless' is missing",
        "",
    ),
    "stand-alone: name in capitals": (
        alone("Redis: {hosts: [first]}"),
        14,
        "standalone.Redis",
        "is invalid (found 'Redis')",
        "For example: redis, in lower case.",
    ),
    "stand-alone: selection as a list": (
        alone("a: {hosts: [first], select: [spark]}"),
        14,
        "standalone.a.select",
        "must be a mapping",
        "Write KEY: VALUE, without dashes.",
    ),
    "stand-alone: variable in small letters": (
        alone("a: {hosts: [first], smoke_variables: {port: '1'}}"),
        14,
        "standalone.a.smoke_variables.port",
        "is invalid (found 'port')",
        "For example: REDIS_PORT, in capitals.",
    ),
    "jobs: without command": (job("a: {on: first}"), 14, "jobs.a", "the key 'command' is missing", ""),
    "jobs: on several hosts": (
        job("a: {on: [first, others], command: x}"),
        14,
        "jobs.a.on",
        "must be text",
        "Write one value, without brackets.",
    ),
    "jobs: name with a slash": (
        job("'a/b': {on: first, command: x}"),
        14,
        "jobs.a/b",
        "must be the name of a file, without folders (found 'a/b')",
        "",
    ),
    "services: as a text": (
        add("services: ZOOKEEPER"),
        14,
        "services",
        "must be a list (found 'ZOOKEEPER')",
        "Write a list: [ZOOKEEPER]",
    ),
    "cluster: a number": (
        swap("cluster: c1", "cluster: 2024"),
        1,
        "cluster",
        "must be text (found 2024)",
        "Put the value in quotes.",
    ),
    "cluster: too long": (
        swap("cluster: c1", "cluster: " + "a" * 101),
        1,
        "cluster",
        "is invalid",
        "For example: analytics, of letters, digits, _ and -.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_place_and_its_hint(tmp_path: Path, mistake: str) -> None:
    edit, line, path, message, hint = MISTAKES[mistake]
    file = tmp_path / "inv.yaml"
    file.write_text(edit(BASE))
    with pytest.raises(ConfigurationError) as caught:
        load_inventory(file)
    several = caught.value.errors if isinstance(caught.value, ConfigurationErrors) else [caught.value]
    places = [(one.location and (one.location.line, one.location.path), one.message) for one in several]
    assert ((line, path), message) in places
    told = several[places.index(((line, path), message))].hint or ""
    assert told.startswith(hint) and bool(told) == bool(hint)
    assert "pw" not in str(caught.value) and "hunter2" not in str(caught.value)


def test_the_tables_have_two_hundred_mistakes() -> None:
    tables = (MISTAKES, bad_input.INVENTORY_MISTAKES, bad_input.CALLS)
    assert sum(map(len, tables)) >= 200


def test_every_pattern_of_an_inventory_has_an_example() -> None:
    """A hint shows what to write, and no regular expression."""

    def patterns(schema: object) -> set[str]:
        if isinstance(schema, list):
            return set().union(*map(patterns, schema))
        if not isinstance(schema, dict):
            return set()
        own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
        keys = set(schema.get("patternProperties", {}))
        return own | keys | set().union(set(), *map(patterns, schema.values()))

    assert patterns(Inventory.model_json_schema()) - set(EXAMPLES) == set()
