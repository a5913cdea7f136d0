"""What an agent prints about a failed command: the script's traceback with its source lines, then the reason.

The frames are those that agents of the recorded server ended with (117, 279, 534, 559, 640). The source lines matter:
they hold the templates of messages, which are no messages.
"""

from __future__ import annotations

from dataclasses import dataclass

NOT_LOADED = "Unable to load available packages"
"""How the log of an agent that cannot list packages begins."""
_LIBRARY = "/usr/lib/ambari-agent/lib"
_SCRIPTS = "/var/lib/ambari-agent/cache/stacks/BIGTOP/3.2.0/services"
_FAIL = "resource_management.core.exceptions.Fail"
_NO_CAUSE = "NoneType: None\n\nThe above exception was the cause of the following exception:\n\n"
"""What ``Fail`` prints first if nothing else caused it."""


@dataclass(frozen=True)
class _End:
    """The last frame of a traceback, and the class of the exception; ``begin`` is that of its message."""

    begin: str
    place: str
    source: str
    kind: str = _FAIL


_ENDS = (
    _End(
        "No package found for ",
        f'"{_LIBRARY}/resource_management/libraries/script/script.py", line 535, in get_package_from_available',
        'raise Fail("No package found for {0}(expected name: {1})".format(name, name_with_version))',
    ),
    _End(
        "Failed to execute command ",
        f'"{_LIBRARY}/ambari_commons/shell.py", line 755, in repository_manager_executor',
        "raise RuntimeError(message)",
        "RuntimeError",
    ),
    _End(
        "Execution of ",
        f'"{_LIBRARY}/resource_management/core/shell.py", line 315, in _call',
        "raise ExecutionFailed(err_msg, code, out, err)",
        "resource_management.core.exceptions.ExecutionFailed",
    ),
    _End(
        "Stack features ",
        f'"{_LIBRARY}/resource_management/libraries/functions/stack_features.py", line 79, in check_stack_feature',
        'raise Fail("Stack features not defined by stack")',
    ),
    _End(
        "",
        f'"{_LIBRARY}/resource_management/core/providers/system.py", line 120, in action_create',
        'raise Fail("Applying %s failed, parent directory %s doesn\'t exist" % (self.resource, dirname))',
    ),
)


def failure_text(message: str, service: str, component: str, command: str) -> str:
    """Format a failure like the end of an agent's standard error; ``command`` is INSTALL, START and so on."""
    script = f'"{_SCRIPTS}/{service}/package/scripts/{component.lower()}.py"'
    name, method = component.title().replace("_", ""), command.lower()
    end = next(end for end in _ENDS if message.startswith(end.begin))
    call = "self.install_packages(env)" if method == "install" else f"self.{method}_process(env)"
    frames = (
        (f"{script}, line 82, in <module>", f"{name}().execute()"),
        (f'"{_LIBRARY}/resource_management/libraries/script/script.py", line 354, in execute', "method(env)"),
        (f"{script}, line 62, in {method}", call),
        (end.place, end.source),
    )
    caused = "" if end.kind == "RuntimeError" else _NO_CAUSE
    return f"{caused}{_traceback(frames)}{end.kind}: {message}"


def unread_text(kind: str, message: str) -> str:
    """Return what an agent logs if it cannot list packages: on standard error and on standard output."""
    frames = (
        (
            f'"{_LIBRARY}/ambari_commons/repo_manager/yum_manager.py", line 308, in _build_repos_ids',
            "config_parser.read(repo_file)",
        ),
        ('"/usr/lib64/python3.9/configparser.py", line 1067, in _read', f"raise {kind}(sectname, fpname,"),
    )
    return f"{NOT_LOADED}\n{_traceback(frames)}configparser.{kind}: {message}"


def _traceback(frames: tuple[tuple[str, str], ...]) -> str:
    lines = "".join(f"  File {place}\n    {source}\n" for place, source in frames)
    return f"Traceback (most recent call last):\n{lines}"
