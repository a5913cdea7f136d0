"""Numbers of the RPM file format: header tags, dependency senses, file flags (rpm's own tag list)."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Tag(IntEnum):
    """Tags of the main header."""

    IMMUTABLE_REGION = 63
    NAME = 1000
    VERSION = 1001
    RELEASE = 1002
    EPOCH = 1003
    SUMMARY = 1004
    DESCRIPTION = 1005
    BUILD_TIME = 1006
    BUILD_HOST = 1007
    SIZE = 1009
    LICENSE = 1014
    GROUP = 1016
    URL = 1020
    OS = 1021
    ARCH = 1022
    PRE = 1023
    POST = 1024
    PREUN = 1025
    POSTUN = 1026
    OLD_FILE_NAMES = 1027
    FILE_SIZES = 1028
    FILE_MODES = 1030
    FILE_TIMES = 1034
    FILE_DIGESTS = 1035
    FILE_LINKS = 1036
    FILE_FLAGS = 1037
    FILE_USERS = 1039
    FILE_GROUPS = 1040
    SOURCE_RPM = 1044
    PROVIDE_NAMES = 1047
    REQUIRE_FLAGS = 1048
    REQUIRE_NAMES = 1049
    REQUIRE_VERSIONS = 1050
    CONFLICT_FLAGS = 1053
    CONFLICT_NAMES = 1054
    CONFLICT_VERSIONS = 1055
    PRE_PROGRAM = 1085
    POST_PROGRAM = 1086
    PREUN_PROGRAM = 1087
    POSTUN_PROGRAM = 1088
    OBSOLETE_NAMES = 1090
    PROVIDE_FLAGS = 1112
    PROVIDE_VERSIONS = 1113
    OBSOLETE_FLAGS = 1114
    OBSOLETE_VERSIONS = 1115
    DIRECTORY_INDEXES = 1116
    BASE_NAMES = 1117
    DIRECTORY_NAMES = 1118
    PAYLOAD_FORMAT = 1124
    PAYLOAD_COMPRESSOR = 1125
    PRETRANS = 1151
    POSTTRANS = 1152
    PRETRANS_PROGRAM = 1153
    POSTTRANS_PROGRAM = 1154
    LONG_FILE_SIZES = 5008
    FILE_DIGEST_ALGORITHM = 5011
    PAYLOAD_DIGEST = 5092
    PAYLOAD_DIGEST_ALGORITHM = 5093


class SignatureTag(IntEnum):
    """Tags of the signature header. DSA and RSA cover the header, PGP and GPG header and payload."""

    REGION = 62
    DSA = 267
    RSA = 268
    SHA1 = 269
    LONG_SIZE = 270
    SHA256 = 273
    SIZE = 1000
    PGP = 1002
    MD5 = 1004
    GPG = 1005
    PAYLOAD_SIZE = 1007
    RESERVED_SPACE = 1008


class Type(IntEnum):
    """Types of a tag's value."""

    NULL = 0
    CHAR = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    STRING = 6
    BINARY = 7
    STRING_ARRAY = 8
    I18N_STRING = 9


class Sense(IntFlag):
    """The comparison in the flags of a dependency, and the bit of ``rpmlib(...)`` features."""

    LESS = 1 << 1
    GREATER = 1 << 2
    EQUAL = 1 << 3
    RPMLIB = 1 << 24


class FileFlag(IntFlag):
    """File flags, as set by directives in ``%files``."""

    CONFIG = 1 << 0
    DOCUMENTATION = 1 << 1
    MISSING_OK = 1 << 3
    NO_REPLACE = 1 << 4
    SPECFILE = 1 << 5
    GHOST = 1 << 6
    LICENSE = 1 << 7
    README = 1 << 8
    ARTIFACT = 1 << 12


FLAG_LETTERS = {
    FileFlag.DOCUMENTATION: "d",
    FileFlag.CONFIG: "c",
    FileFlag.SPECFILE: "s",
    FileFlag.MISSING_OK: "m",
    FileFlag.NO_REPLACE: "n",
    FileFlag.GHOST: "g",
    FileFlag.LICENSE: "l",
    FileFlag.README: "r",
    FileFlag.ARTIFACT: "a",
}
"""Letters in the order of rpm's ``%{FILEFLAGS:fflags}``."""

DIGEST_ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
"""OpenPGP's numbers (RFC 4880 section 9.4), which RPM uses as well."""
