"""ZooKeeper: zoo.cfg with the ensemble, myid, environment; zkServer.sh; a check against every server."""

from __future__ import annotations

from bigtop_builder.ambari_simulator.agents.program import JAVA_HOME, HostFile, Program, filled, lives, waited
from bigtop_builder.ambari_simulator.engine.work import Context

SERVER, CLIENT = "ZOOKEEPER_SERVER", "ZOOKEEPER_CLIENT"
CONF = "/etc/zookeeper/conf"


def _settings(context: Context) -> dict[str, str]:
    given = {
        "zk_user": "zookeeper",
        "zk_log_dir": "/var/log/zookeeper",
        "zk_pid_dir": "/var/run/zookeeper",
        "zk_server_heapsize": "1024",
        **context.configurations.get("zookeeper-env", {}),
    }
    return {**given, "user_group": context.configurations.get("cluster-env", {}).get("user_group", "hadoop")}


def _pid(context: Context) -> str:
    return f"{_settings(context)['zk_pid_dir']}/zookeeper_server.pid"


def _data(context: Context) -> str:
    return context.configurations.get("zoo.cfg", {}).get("dataDir", "/hadoop/zookeeper")


def _home(context: Context) -> str:
    return f"{context.stack_root}/current/zookeeper-server"


def _files(context: Context, host: str, component: str) -> list[HostFile]:
    settings = _settings(context)
    user, group = settings["zk_user"], settings["user_group"]
    heap = settings["zk_server_heapsize"]
    values = {
        **settings,
        "java64_home": JAVA_HOME,
        "zk_home": f"{context.stack_root}/current/zookeeper-client",
        "zk_pid_file": _pid(context),
        "zk_server_heapsize": f"-Xmx{heap}" + ("m" if heap.isdigit() else ""),
        "security_enabled": False,
    }
    servers = context.layout.get(SERVER, ())
    properties = dict(context.configurations.get("zoo.cfg", {}))
    lines = [f"{name}={value}" for name, value in properties.items()]
    lines += [f"server.{number}={name}:2888:3888" for number, name in enumerate(servers, start=1)]
    log: dict[str, object] = {"zookeeper_log_max_backup_size": "10", "zookeeper_log_number_of_backup_files": "10"}
    log |= values | dict(context.configurations.get("zookeeper-log4j", {}))
    files = [
        HostFile(f"{CONF}/zoo.cfg", "\n".join(lines) + "\n", user, group),
        HostFile(f"{CONF}/zookeeper-env.sh", filled(settings.get("content", ""), values), user, group),
        HostFile(f"{CONF}/log4j.properties", filled(str(log.get("content", "")), log), user, group),
    ]
    if component == SERVER and host in servers:
        files.append(HostFile(f"{_data(context)}/myid", str(servers.index(host) + 1), user, group))
    return files


def _prepare(context: Context, _component: str) -> str:
    settings = _settings(context)
    owner = f"-o {settings['zk_user']} -g {settings['user_group']} -m 0755"
    folders = f"{settings['zk_pid_dir']} {settings['zk_log_dir']}"
    return f"install -d {owner} {folders}\ninstall -d -m 0755 {CONF}\ninstall -d {owner} {_data(context)}\n"


def _server(context: Context, verb: str) -> str:
    user = _settings(context)["zk_user"]
    command = (
        f"source {CONF}/zookeeper-env.sh; env ZOOCFGDIR={CONF} ZOOCFG=zoo.cfg {_home(context)}/bin/zkServer.sh {verb}"
    )
    return f"runuser -u {user} -- bash -c '{command}'"


def _start(context: Context, _component: str) -> str:
    return f"if ! {{ {_status(context, SERVER)}; }}; then {_server(context, 'start')}; fi\n{waited(_pid(context))}"


def _stop(context: Context, _component: str) -> str:
    pid = _pid(context)
    return (
        f"if {lives(pid)}; then {_server(context, 'stop')}; fi\n"
        f"for turn in $(seq 20); do if ! {{ {lives(pid)}; }}; then break; fi; sleep 0.5; done\n"
        f"rm -f {pid}\n"
    )


def _status(context: Context, _component: str) -> str:
    return lives(_pid(context))


def _check(context: Context) -> str:
    """Write a node through the first server, read it through each one, delete it through the last."""
    port = context.configurations.get("zoo.cfg", {}).get("clientPort", "2181")
    servers = context.layout.get(SERVER, ())
    client = f"{context.stack_root}/current/zookeeper-client/bin/zkCli.sh"
    ask = f"source {CONF}/zookeeper-env.sh; {client} -server"
    lines = [
        "node=/zk_smoketest_$$",
        # Servers that have just started may not have a leader yet.
        "for turn in $(seq 6); do\n"
        f"if (timeout 20 bash -c '{ask} {servers[0]}:{port} create '$node' from-the-check') 2>&1 | grep Created; "
        f"then break; elif [ $turn = 6 ]; then echo 'Could not write through {servers[0]}' >&2; exit 1; fi; "
        "sleep 3; done",
    ]
    lines += [
        "for turn in 1 2; do\n"
        f"if (timeout 20 bash -c '{ask} {server}:{port} get '$node) 2>&1 | grep from-the-check >/dev/null; "
        f"then break; elif [ $turn = 2 ]; then echo 'Data does not match in {server}' >&2; exit 1; fi; done"
        for server in servers
    ]
    lines += [f"({ask} {servers[-1]}:{port} delete $node) >/dev/null 2>&1", "echo 'Zookeeper Smoke Test: Passed'"]
    return "\n".join(lines) + "\n"


PROGRAM = Program(_files, _prepare, _start, _stop, _status, _check)
