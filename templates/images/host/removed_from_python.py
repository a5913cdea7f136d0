"""What Debian's Python no longer has and Ambari's agent, server scripts and stack still call.

Ambari 3.0 is written for the Python 3.9 of Enterprise Linux 8 and 9. Python 3.11 to 3.13 removed `imp`,
`ssl.wrap_socket`, `ConfigParser.readfp`, `inspect.getargspec` and `locale.format`, and refuse inline flags that do not
stand at the start of a regular expression. A .pth file loads this module when Python
starts; each module is completed when it is imported, so that other programs pay nothing for it.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import types


def _imp():
    module = types.ModuleType("imp", "The part of the former module imp that loads a file.")
    module.PY_SOURCE, module.PKG_DIRECTORY = 1, 5

    def load_source(name, path, file=None):
        loader = importlib.machinery.SourceFileLoader(name, path)
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded
        spec.loader.exec_module(loaded)
        return loaded

    def load_module(name, file, path, description):
        return load_source(name, path)

    module.load_source, module.load_module = load_source, load_module
    module.new_module, module.reload = types.ModuleType, importlib.reload
    module.get_magic = lambda: importlib.util.MAGIC_NUMBER
    return module


def _ssl(ssl):
    def wrap_socket(
        sock,
        keyfile=None,
        certfile=None,
        server_side=False,
        cert_reqs=ssl.CERT_NONE,
        ssl_version=ssl.PROTOCOL_TLS_CLIENT,
        ca_certs=None,
        do_handshake_on_connect=True,
        suppress_ragged_eofs=True,
        ciphers=None,
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = cert_reqs
        if ca_certs:
            context.load_verify_locations(ca_certs)
        if certfile:
            context.load_cert_chain(certfile, keyfile)
        if ciphers:
            context.set_ciphers(ciphers)
        return context.wrap_socket(
            sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
        )

    ssl.wrap_socket = wrap_socket


def _configparser(configparser):
    configparser.RawConfigParser.readfp = configparser.RawConfigParser.read_file
    configparser.SafeConfigParser = configparser.ConfigParser


def _inspect(inspect):
    import collections

    argspec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")

    def getargspec(function):
        full = inspect.getfullargspec(function)
        return argspec(full.args, full.varargs, full.varkw, full.defaults)

    inspect.getargspec = getargspec


def _locale(locale):
    locale.format = locale.format_string


COMPLETED = {"ssl": _ssl, "configparser": _configparser, "inspect": _inspect, "locale": _locale}


class _Completing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `imp`, and completes the modules above after their own loader has run."""

    def __init__(self):
        self._busy = set()

    def find_spec(self, name, path=None, target=None):
        if name == "imp":
            return importlib.machinery.ModuleSpec(name, self)
        if name not in COMPLETED or name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy.discard(name)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            COMPLETED[name](module)

        spec.loader.exec_module = exec_module
        return spec

    def create_module(self, spec):
        return _imp()

    def exec_module(self, module):
        pass


_LATE_FLAGS = re.compile(r"(?<!\\)\(\?([aiLmsux]+)\)")
_compile = re._compiler.compile


def _with_early_flags(pattern, flags=0):
    if isinstance(pattern, str):
        late = _LATE_FLAGS.search(pattern, 1)
        if late:
            pattern = late.group(0) + pattern[: late.start()] + pattern[late.end() :]
    return _compile(pattern, flags)


re._compiler.compile = _with_early_flags
sys.meta_path.insert(0, _Completing())
for _name, _complete in COMPLETED.items():
    if _name in sys.modules:
        _complete(sys.modules[_name])
