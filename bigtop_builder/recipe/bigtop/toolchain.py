"""The builder image of each Bigtop component: the bill of materials states only the JDK."""

from __future__ import annotations

from bigtop_builder.model.component import Build
from bigtop_builder.model.errors import Location, RecipeError
from bigtop_builder.recipe.bigtop.bom import Bom, BomComponent

JDKS = {"8": 8, "11": 11, "17": 17}

MAVEN_38 = (3, 3)
"""Bigtop 3.2 is built with Maven 3.6, later releases with 3.8 or newer (``bigtop_toolchain``)."""

COMMON = {
    "debian": (
        "autoconf automake curl g++ gcc git libc6-dev libtool make patch pkg-config procps python3 python-is-python3 "
        "rsync wget zip"
    ),
    "rhel": (
        "autoconf automake curl gcc gcc-c++ git libtool make patch pkgconfig procps-ng python3 rsync wget which zip"
    ),
}
"""Packages that every build needs, by platform family; ``ALSO`` has those of single components."""

ALSO = {
    "zookeeper": {"debian": "libcppunit-dev", "rhel": "cppunit-devel"},
    "hadoop": {
        "debian": "cmake libbz2-dev libfuse-dev libsasl2-dev libsnappy-dev libssl-dev libzstd-dev zlib1g-dev",
        "rhel": "bzip2-devel cmake cyrus-sasl-devel fuse-devel openssl-devel snappy-devel libzstd-devel zlib-devel",
    },
    "bigtop-jsvc": {"debian": "libcap-dev", "rhel": "libcap-devel"},
    "spark": {"debian": "r-base-core", "rhel": "R"},
    "zeppelin": {"debian": "bzip2", "rhel": "bzip2"},
    "ranger": {"debian": "python3-setuptools", "rhel": "python3-setuptools"},
}

ENVIRONMENT = {"bigtop-jsvc": {"CFLAGS": "-g -O2 -fpermissive"}}
"""For old C code: since version 14, gcc rejects what earlier versions only warned about."""

MEMORY = {"bigtop-utils": "1g", "bigtop-select": "1g", "bigtop-jsvc": "1g", "zookeeper": "4g"}
"""The memory of small builds; all others get ``LARGE``."""

LARGE = "8g"


def toolchain(bom: Bom, component: BomComponent) -> Build:
    """Return the image, caches and limits of a component's build. Raises RecipeError for a JDK that no image has."""
    name = component.name
    has_source = component.download is not None or component.git is not None
    version = bom.stack["jdk"].removeprefix("1.")
    if version not in JDKS:
        raise RecipeError(
            f"the bill of materials requires JDK {version}; builder images have {', '.join(JDKS)}",
            location=Location(bom.file),
            hint="With Bigtop 3.3 or later, set BIGTOP_JDK in the environment to choose another.",
        )
    return Build.model_validate(
        {
            "jdk": JDKS[version],
            "maven": "3.8.8" if _release(bom) >= MAVEN_38 else "3.6.3",
            "packages": {
                "debian": _packages(name, "debian"),
                **dict.fromkeys(("rhel", "openeuler", "kylin"), _packages(name, "rhel")),
            },
            "caches": ["maven", "npm", "gradle", "ivy"] if has_source else [],
            "network": has_source,
            "environment": ENVIRONMENT.get(name, {}),
            "memory": MEMORY.get(name, LARGE),
            "timeout": "4h",
        }
    )


def _packages(name: str, family: str) -> list[str]:
    return f"{COMMON[family]} {ALSO.get(name, {}).get(family, '')}".split()


def _release(bom: Bom) -> tuple[int, ...]:
    return tuple(int(number) for number in bom.base_version.split(".")[:2])
