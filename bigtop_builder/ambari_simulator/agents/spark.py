"""Spark: spark-defaults, environment, log4j; the history server; a check that it runs (554)."""

from __future__ import annotations

from bigtop_builder.ambari_simulator.agents.program import JAVA_HOME, HostFile, Program, filled, lives, waited
from bigtop_builder.ambari_simulator.engine.work import Context

CONF = "/etc/spark/conf"
HISTORY = "SPARK_JOBHISTORYSERVER"
MAINS = {
    HISTORY: ("history-server", "org.apache.spark.deploy.history.HistoryServer", "spark-historyserver"),
    "SPARK_THRIFTSERVER": (
        "thriftserver",
        "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
        "spark-thriftserver",
    ),
}
ENVIRONMENT = (
    "export JAVA_HOME={{java_home}}\n"
    "export SPARK_CONF_DIR=" + CONF + "\n"
    "export SPARK_LOG_DIR={{spark_log_dir}}\n"
    "export SPARK_PID_DIR={{spark_pid_dir}}\n"
    "export SPARK_DAEMON_MEMORY={{spark_daemon_memory}}m\n"
)
"""spark-env.sh if the configuration has no ``content`` of its own."""


def _settings(context: Context) -> dict[str, str]:
    return {
        "spark_user": "spark",
        "spark_group": "spark",
        "spark_log_dir": "/var/log/spark",
        "spark_pid_dir": "/var/run/spark",
        "spark_daemon_memory": "1024",
        "java_home": JAVA_HOME,
        **{name: value for name, value in context.configurations.get("spark-env", {}).items() if value},
    }


def _port(context: Context) -> str:
    return context.configurations.get("spark-defaults", {}).get("spark.history.ui.port", "18081")


def _pid(context: Context, component: str) -> str:
    settings = _settings(context)
    return f"{settings['spark_pid_dir']}/spark-{settings['spark_user']}-{MAINS[component][1]}-1.pid"


def _files(context: Context, host: str, component: str) -> list[HostFile]:
    settings = _settings(context)
    user, group = settings["spark_user"], settings["spark_group"]
    values = {**settings, "stack_root": context.stack_root, "spark_home": f"{context.stack_root}/current/spark-client"}
    properties = {**context.configurations.get("spark-defaults", {})}
    properties.setdefault("spark.history.ui.port", _port(context))
    lines = [f"{name} {filled(str(value), values)}" for name, value in sorted(properties.items())]
    files = [
        HostFile(f"{CONF}/spark-defaults.conf", "\n".join(lines) + "\n", user, group),
        HostFile(f"{CONF}/spark-env.sh", filled(settings.get("content", ENVIRONMENT), values), user, group),
    ]
    log = context.configurations.get("spark-log4j-properties", {}).get("content")
    if log:
        files.append(HostFile(f"{CONF}/log4j.properties", filled(log, values), user, group))
    return files


def _prepare(context: Context, _component: str) -> str:
    settings = _settings(context)
    owner = f"-o {settings['spark_user']} -g {settings['spark_group']}"
    # The agent's message if the package created no configuration folder (528-535).
    return (
        f"[ -d {CONF} ] || {{ echo \"Applying File['{CONF}/spark-defaults.conf'] failed, parent directory {CONF} "
        f"doesn't exist\" >&2; exit 1; }}\n"
        f"install -d {owner} -m 0755 {settings['spark_log_dir']} {settings['spark_pid_dir']}\n"
    )


def _script(context: Context, component: str, verb: str) -> str:
    script, _, selected = MAINS[component]
    user = _settings(context)["spark_user"]
    return f"runuser -u {user} -- {context.stack_root}/current/{selected}/sbin/{verb}-{script}.sh"


def _start(context: Context, component: str) -> str:
    pid = _pid(context, component)
    return f"if ! {{ {lives(pid)}; }}; then {_script(context, component, 'start')}; fi\n{waited(pid)}"


def _stop(context: Context, component: str) -> str:
    pid = _pid(context, component)
    return f"if {lives(pid)}; then {_script(context, component, 'stop')}; fi\nrm -f {pid}\n"


def _status(context: Context, component: str) -> str:
    return lives(_pid(context, component)) if component in MAINS else "false"


def _check(context: Context) -> str:
    servers = context.layout.get(HISTORY, ())
    where = servers[0] if servers else "localhost"
    command = f"curl -s -o /dev/null -w'%{{http_code}}' --negotiate -u: -k http://{where}:{_port(context)} | grep 200"
    return (
        f"{command} && exit 0\n"
        'echo "resource_management.core.exceptions.ExecutionFailed: Execution of '
        f"'{command}' returned 1.\" >&2\nexit 1\n"
    )


PROGRAM = Program(_files, _prepare, _start, _stop, _status, _check)
