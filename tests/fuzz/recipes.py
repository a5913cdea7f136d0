"""Files that users and other teams write: components, stacks, platforms, projects, inventories, Bigtop's bill."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from random import Random

import yaml

from bigtop_builder.flow.build.project import Request
from bigtop_builder.flow.open_project import open_project
from bigtop_builder.recipe.bigtop.bom import parse_bom
from bigtop_builder.recipe.bigtop.source import addresses, seed
from bigtop_builder.recipe.catalog import shipped_templates
from bigtop_builder.recipe.inventory import load_inventory
from bigtop_builder.recipe.settings import load_settings
from tests.fuzz.harness import Target
from tests.fuzz.mutation import changed, mutated

ROOT = Path(__file__).resolve().parents[2]
NAME = "fuzzed"
PROJECT = """\
stack: small
platforms: [el8, el9]
overlays: [overlay]
store: store
components:
  fuzzed: {release: 3}
mirrors: {preset: none}
network: {proxy: {https: "http://proxy:3128", no_proxy: [localhost]}, connect_timeout: 5s}
signing: {key: ABCDEF, passphrase: "env:PHRASE"}
limits: {jobs: 2, memory: 1g, log_size: 8m}
"""


class YamlTarget(Target):
    """Half of the rounds damage the text, half the document."""

    def texts(self) -> list[str]:
        """Return the undamaged files."""
        raise NotImplementedError

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._texts = [text.encode() for text in self.texts()]
        self.samples = tuple(self._texts)
        self._documents = [yaml.safe_load(text) for text in self._texts]

    def damaged(self, random: Random) -> bytes:
        """Return a damaged file."""
        number = random.randrange(len(self._texts))
        if random.random() < 0.4:
            return mutated(self._texts[number], random, self._texts)
        document = changed(self._documents[number], random)
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=random.random() < 0.5).encode(errors="replace")

    def version(self, data: bytes) -> str:
        """Return the version that the stack asks for."""
        return "1"

    def plan(self, scratch: Path, name: str, data: bytes) -> None:
        """Plan a small project in which this is the file ``name``."""
        stack = {"name": "small", "version": "1.0", "epoch": 1600000000, "components": {NAME: self.version(data)}}
        files = {
            "bigtop-builder.yaml": b"stack: small\noverlays: [overlay]\nstore: store\n",
            "overlay/stacks/small.yaml": yaml.safe_dump(stack).encode(),
            name: data,
        }
        for place, content in files.items():
            (scratch / place).parent.mkdir(parents=True, exist_ok=True)
            (scratch / place).write_bytes(content)
        platform = NAME if "platforms" in name else "el8"
        project = open_project(load_settings(scratch, {}, {"HOME": str(scratch)}))
        made = project.plan(Request(selectors=(NAME,), platforms=(platform,)))
        assert made.tasks or made.refusals


class ComponentFiles(YamlTarget):
    """The file of a shipped component, planned as part of an overlay."""

    rounds = 30
    component = ""

    def texts(self) -> list[str]:
        """Return it under a name that is not shipped: else it would be laid over the shipped one."""
        text = (shipped_templates() / "components" / self.component / "component.yaml").read_text()
        return [text.replace(f"name: {self.component}\n", f"name: {NAME}\n", 1)]

    def read(self, data: bytes, scratch: Path) -> None:
        """Plan it."""
        place = scratch / "overlay" / "components" / NAME
        shutil.copytree(shipped_templates() / "components" / self.component, place)
        self.plan(scratch, f"overlay/components/{NAME}/component.yaml", data)

    def version(self, data: bytes) -> str:
        """Return the first version of the file, if it has any."""
        found = re.search(rb"^versions:\n  [\"']?([^\"':\n]+)", data, re.MULTILINE)
        return found[1].decode(errors="replace") if found else "1"


class Zookeeper(ComponentFiles):
    """With services and files."""

    name = "component-zookeeper"
    component = "zookeeper"


class Spark(ComponentFiles):
    """With variants and many packages."""

    name = "component-spark"
    component = "spark"


class Jsvc(ComponentFiles):
    """A native component."""

    name = "component-jsvc"
    component = "bigtop-jsvc"


class _WithComponent(YamlTarget):
    def read_with_component(self, data: bytes, scratch: Path, name: str) -> None:
        place = scratch / "overlay" / "components" / NAME / "component.yaml"
        place.parent.mkdir(parents=True)
        packages = f"[{{name: '{NAME}{{{{ suffix }}}}', summary: x, files: [/opt/x]}}]"
        head = f'name: {NAME}\nsummary: x\nversions: {{"1": {{}}}}\n'
        place.write_text(f"{head}packages: {packages}\ninstall: touch $BUILDROOT/opt/x\n")
        self.plan(scratch, name, data)


class Stacks(_WithComponent):
    """Stack files."""

    name = "stack"
    rounds = 40

    def texts(self) -> list[str]:
        """Return a small stack and a shipped one under its name."""
        shipped = (shipped_templates() / "stacks" / "bigtop-3.2.0.yaml").read_text()
        small = f'name: small\nversion: "1.0"\nepoch: 1600000000\ncomponents:\n  {NAME}: "1"\n'
        return [small, shipped.replace("name: bigtop-3.2.0", "name: small")]

    def read(self, data: bytes, scratch: Path) -> None:
        """Plan it."""
        self.read_with_component(data, scratch, "overlay/stacks/small.yaml")


class Platforms(_WithComponent):
    """Platform files."""

    name = "platform"
    rounds = 40

    def texts(self) -> list[str]:
        """Return all shipped platforms under another name."""
        found = sorted((shipped_templates() / "platforms").glob("*.yaml"))
        return [path.read_text().replace(f"name: {path.stem}\n", f"name: {NAME}\n", 1) for path in found]

    def read(self, data: bytes, scratch: Path) -> None:
        """Plan it."""
        self.read_with_component(data, scratch, f"overlay/platforms/{NAME}.yaml")


class ProjectFiles(_WithComponent):
    """Project files."""

    name = "project"
    rounds = 40

    def texts(self) -> list[str]:
        """Return one with all sections."""
        return [PROJECT]

    def read(self, data: bytes, scratch: Path) -> None:
        """Plan it."""
        self.read_with_component(data, scratch, "bigtop-builder.yaml")


class Inventories(YamlTarget):
    """Inventories."""

    name = "inventory"
    rounds = 60

    def texts(self) -> list[str]:
        """Return those of the repository."""
        return [path.read_text() for path in sorted((ROOT / "inventories").glob("*.yaml"))]

    def read(self, data: bytes, scratch: Path) -> None:
        """Load it."""
        file = scratch / "inventory.yaml"
        file.write_bytes(data)
        load_inventory(file)


class Bills(Target):
    """Bigtop's bill of materials, in Groovy."""

    name = "bom"
    rounds = 150

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._file = ROOT / "tests" / "fast" / "data" / "bigtop-tree" / "bigtop.bom"
        self._text = self._file.read_bytes()

    def damaged(self, random: Random) -> bytes:
        """Return a damaged bill; in a third of the rounds its words are shuffled."""
        if random.random() < 0.3:
            words = self._text.split(b" ")
            first, second = random.randrange(len(words)), random.randrange(len(words))
            words[first], words[second] = words[second], words[first]
            return b" ".join(words)
        return mutated(self._text, random)

    def read(self, data: bytes, scratch: Path) -> None:
        """Read the bill and what follows from it."""
        bill = parse_bom(data.decode(errors="replace"), self._file, {})
        for component in bill.components.values():
            seed(component)
            addresses(component)
