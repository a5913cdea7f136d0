"""``python -m bigtop_builder.ambari_simulator``: a simulated Ambari server in a process of its own, until SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bigtop_builder.ambari_simulator.arguments import SimulationArguments, faults, recorded_hosts
from bigtop_builder.ambari_simulator.engine.state import SHIPPED, World
from bigtop_builder.model.errors import BigtopBuilderError, ConfigurationError


def parse(arguments: list[str] | None = None) -> SimulationArguments:
    """Parse the arguments into a model; exit the process if they are invalid."""
    parser = argparse.ArgumentParser(prog="python -m bigtop_builder.ambari_simulator", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=8080, help="port to listen at; 0 takes a free one")
    parser.add_argument("--testbed", type=Path, help="a test bed's record: its hosts, and how SSH reaches them")
    parser.add_argument(
        "--host", action="append", default=[], metavar="FQDN=IP", help="a host on paper; may be repeated"
    )
    parser.add_argument("--inject", type=Path, help="a YAML file of failures to show")
    parser.add_argument("--password", type=Path, metavar="FILE", help="file with the administrator's password")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="NETWORK", help="hear only this network and this machine"
    )
    parser.add_argument("--certificate", type=Path, help="PEM file; turns HTTPS on")
    parser.add_argument("--key", type=Path, help="PEM file of the certificate's key")
    parser.add_argument("--ambari", default="3.0.0.0", help="the version of Ambari to be")
    parser.add_argument("--state-file", type=Path, help="where to write URL and process id once ready")
    parser.add_argument("--keep", type=Path, help="keep all that the server knows in this file, and go on from it")
    parser.add_argument(
        "--alert-minute", type=float, default=60.0, metavar="SECONDS", help="how long a minute lasts for alerts"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast as others' its clock goes")
    given = vars(parser.parse_args(arguments))
    hosts = dict(entry.partition("=")[::2] for entry in given.pop("host"))
    return SimulationArguments.model_validate({**given, "hosts": hosts})


def fast_clock(speed: float) -> Callable[[], float]:
    """Return a clock that goes ``speed`` times as fast since 1970, so that a later process's is never behind."""
    return lambda: time.time() * speed


def set_password(world: World, file: Path) -> str:
    """Give the administrator the password in a file, unless it has been changed meanwhile; return the password.

    Raises ConfigurationError if the file has none.
    """
    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--password {file}: {error}") from error
    if not password:
        raise ConfigurationError(f"--password {file}: the file is empty")
    administrator = world.users.get("admin")
    if administrator is not None and administrator.password == SHIPPED:
        administrator.password = password
    return password


def run(arguments: SimulationArguments) -> int:
    """Serve until SIGTERM or SIGINT; return 0 on a clean end. Raises ``OSError`` if the address cannot be bound."""
    from bigtop_builder.ambari_simulator.agents.paper import PaperCrew
    from bigtop_builder.ambari_simulator.assembly import Ticker, make_world, serve
    from bigtop_builder.ambari_simulator.engine.engine import Pace
    from bigtop_builder.ambari_simulator.engine.stack_upgrade import offer_packs
    from bigtop_builder.ambari_simulator.engine.work import work_of
    from bigtop_builder.ambari_simulator.persistence import Keeper

    hosts, crew = recorded_hosts(arguments)
    paper = PaperCrew()
    pace = Pace(minute=arguments.alert_minute)
    clock = time.time if arguments.speed == 1 else fast_clock(arguments.speed)
    world = make_world(hosts, crew=crew or paper, pace=pace, clock=clock, version=arguments.ambari)
    if arguments.inject:
        found = faults(arguments.inject)
        injections = work_of(world).injections
        injections.tasks.extend(found.tasks)
        injections.calls.extend(found.calls)
        injections.hosts.extend(found.hosts)
        for late in (one for one in found.hosts if one.effect == "late" and one.host in world.hosts):
            world.hosts[late.host].registers_at += late.seconds
        world.switches.update(found.switches)
    keeper = Keeper(world, arguments.keep) if arguments.keep else None
    known = keeper is not None and keeper.resume()
    offer_packs(world)
    if arguments.password is not None:
        world.agent_key = set_password(world, arguments.password)
    if known and crew is None:
        paper.find_running(world)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with serve(
        world,
        address=arguments.address,
        port=arguments.port,
        certificate=arguments.certificate,
        key=arguments.key,
        allowed=arguments.allow,
    ) as simulation:
        if arguments.state_file:
            _write(arguments.state_file, {"url": simulation.url, "pid": os.getpid(), "started": time.time()})
        print(f"simulated Ambari at {simulation.url}{', as it was left' if known else ''}", flush=True)
        if keeper is not None:
            simulation.site.keep = lambda: keeper.keep(at_once=True)
        with Ticker(work_of(world), keeper=keeper):
            ended.wait()
    if arguments.state_file:
        arguments.state_file.unlink(missing_ok=True)
    return 0


def _write(file: Path, document: dict[str, object]) -> None:
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_text(json.dumps(document) + "\n", encoding="utf-8")
    scratch.replace(file)


def main() -> int:
    """The exit code of the process."""
    try:
        return run(parse())
    except BigtopBuilderError as error:
        print(f"{error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"the simulated Ambari cannot listen: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
