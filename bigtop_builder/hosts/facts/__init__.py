"""Facts of a host: each declared once, gathered by one script in one round trip, parsed strictly.

To add a fact, add a field to the class of its group (``machine``, ``kernel``, ``network`` …) and annotate it with a
``Fact``: the shell fragment that prints it and the function that parses what the fragment printed. The script and
``HostFacts`` follow from the declaration. A new group is a new module, and one more base class of ``HostFacts``. Who
needs only some groups gathers a class of these: ``SoftwareFacts``.
"""

from bigtop_builder.hosts.facts.fact import Wanted
from bigtop_builder.hosts.facts.files import FileFact, FileFacts
from bigtop_builder.hosts.facts.host import Gathered, HostFacts, SoftwareFacts
from bigtop_builder.hosts.facts.java import Jdk
from bigtop_builder.hosts.facts.machine import Mount
from bigtop_builder.hosts.facts.network import UrlFact
from bigtop_builder.hosts.facts.packages import Package, PackageFacts
from bigtop_builder.hosts.facts.services import ServiceFact
from bigtop_builder.hosts.facts.users import User, UserFacts

__all__ = [
    "FileFact",
    "FileFacts",
    "Gathered",
    "HostFacts",
    "Jdk",
    "Mount",
    "Package",
    "PackageFacts",
    "ServiceFact",
    "SoftwareFacts",
    "UrlFact",
    "User",
    "UserFacts",
    "Wanted",
]
