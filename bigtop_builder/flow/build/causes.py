"""The kinds of break: what build tools print when a known problem occurs, and what to do about it.

One entry for each kind, the more telling ones first. Most of them come from the history of Bigtop and its components:
repositories that were shut down, compilers and JDKs that became stricter, binaries that nobody built for a processor,
files that rpm refuses. ``tests/fast/test_causes.py`` has a log for each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DISK_FULL = "the disk is full"
NATIVE_IN_NOARCH = re.compile(r"Arch dependent binaries in noarch package", re.IGNORECASE)


@dataclass(frozen=True)
class Cause:
    """A kind of break: ``regex`` is searched in single lines, and its first group that matches names the culprit."""

    regex: re.Pattern[str]
    text: str
    hint: str
    at_end: bool = False
    """Whether it counts only near the end of a log: builds that succeed print such lines as well."""
    shown: re.Pattern[str] | None = None
    """What the user should read, where that is not the line that matched."""


def _cause(regex: str, text: str, hint: str, *, at_end: bool = False, shown: str | None = None) -> Cause:
    return Cause(
        re.compile(regex, re.IGNORECASE), text, hint, at_end, re.compile(shown, re.IGNORECASE) if shown else None
    )


CAUSES = (
    # What the site or the machine lacks.
    _cause(
        r"PKIX path building failed|unable to find valid certification path|certificate verify failed"
        r"|self[-_ ]signed[-_ ]cert|SSL certificate problem|unable to get local issuer|UNABLE_TO_(?:GET|VERIFY)_\w+",
        "a TLS certificate is not trusted",
        "Set network.ca_bundle to the PEM file of your site's certificate authority. See: bigtop-builder doctor",
    ),
    _cause(
        r"fatal alert: (?:protocol_version|handshake_failure)|SSLHandshakeException|\bEPROTO\b|unsupported protocol",
        "a server does not speak the TLS version of this tool",
        "An old JDK or Node speaks no TLS 1.2. Use a newer one (build.jdk), or a mirror that still speaks the old one.",
    ),
    _cause(
        r"No space left on device|ENOSPC|Disk quota exceeded",
        DISK_FULL,
        "Free some space, for example with: bigtop-builder gc",
    ),
    _cause(
        r"unable to create (?:new )?native thread|fork: (?:retry: )?Resource temporarily unavailable",
        "the container has too many processes or threads",
        "Run fewer threads: -T 1 for Maven, -j 1 for make.",
    ),
    _cause(
        r"java\.lang\.OutOfMemoryError|Cannot allocate memory|ran out of memory|out of memory: a process was killed"
        r"|\bOOMKilled\b|GC overhead limit exceeded|virtual memory exhausted|insufficient memory for the Java"
        r"|JavaScript heap out of memory|Killed signal terminated program|(?:exit|error|returned)[^\n]{,20}\b137\b",
        "out of memory",
        "Give the build more with limits.memory in the project file, or run fewer at once with -j. For a heap of Java: "
        "MAVEN_OPTS=-Xmx… in build.environment, of Node: NODE_OPTIONS=--max-old-space-size=…",
    ),
    _cause(
        r"java\.lang\.StackOverflowError",
        "a compiler's stack is too small",
        "Scala needs more: MAVEN_OPTS=-Xss16m (or SBT_OPTS) in build.environment of the component.",
    ),
    _cause(
        r"Hunk #\d+ FAILED at|patch does not apply|can't find file to patch|previously applied\) patch detected",
        "a patch does not apply to this source",
        "Refresh the patch against this version, or remove it.",
    ),
    _cause(
        r"checksum (?:mismatch|validation failed)|digest .{,200} does not match|sha(?:256|512|1)sum.{,200}"
        r"(?:FAILED|mismatch)|\bEINTEGRITY\b|integrity check(?:ing)? failed|checksums? did NOT match",
        "a download does not match its checksum",
        "A mirror or proxy may have served a damaged file; try another mirror preset.",
    ),
    # Downloads that do not work.
    _cause(
        r"bower\.herokuapp\.com",
        "bower uses a registry that has been shut down",
        "Use a mirror preset other than 'none', or set mirrors.bower.",
    ),
    _cause(
        r"unauthenticated git protocol|\(port 9418\)|git://\S+.{,80}(?:timed out|refused|not permitted|failed)",
        "a dependency is fetched by git:// addresses, which are no longer served",
        "Use a mirror preset other than 'none', which redirects GitHub's; for others set GIT_CONFIG_COUNT, "
        "GIT_CONFIG_KEY_0=url.https://HOST/.insteadOf and GIT_CONFIG_VALUE_0=git://HOST/ in build.environment.",
    ),
    _cause(
        r"maven-default-http-blocker|Blocked mirror for repositories",
        "Maven blocks a repository without TLS that a POM names",
        "Use a mirror preset other than 'none': its mirror of '*' takes precedence over the block.",
    ),
    _cause(
        r"HTTPS Required|insecure protocol",
        "a repository is asked without TLS and refuses",
        "Change its address to https:// in the build file by a patch, or use a mirror preset other than 'none'.",
    ),
    _cause(
        r"\b((?:[\w-]{1,40}\.)?bintray\.com|jcenter|conjars\.org|repo\.hortonworks\.com|nexus-private\.hortonworks\.com"
        r"|repository\.codehaus\.org|people\.apache\.org/repo|maven\.glassfish\.org|download\.java\.net/maven"
        r"|repo\.typesafe\.com|scala-tools\.org)\b",
        "a repository that has been shut down is asked",
        "Use a mirror preset other than 'none'. If no repository has the artifact any more, exclude the dependency "
        "by a patch.",
    ),
    _cause(
        r"Could not download (Node\.js|npm|Yarn|https?://\S{1,300})|(phantomjs).{,200}(?:failed|error|not found)"
        r"|Cannot download \"(\S{1,300})\"",
        "a tool of the web build cannot be downloaded",
        "Set mirrors.node (and mirrors.npm) in the project file, or leave the user interface out.",
    ),
    _cause(
        r"status(?: code)?: (?:401|407)|status code 40[17] from|code:? 40[17]\b|\b401 (?:Unauthorized|Error)"
        r"|ReasonPhrase: ?Unauthorized|\bE401\b|Proxy Authentication Required",
        "a mirror, the site's cache or a proxy rejects the credentials",
        "Check the credentials under mirrors and network.proxy in the project file. See: bigtop-builder doctor",
    ),
    _cause(
        r"status(?: code)?:? 403|\b403:? Forbidden|ReasonPhrase: ?Forbidden|\bE403\b|code:? 403\b",
        "a repository or the site's proxy refuses a download (403)",
        "Ask for the address in the log with curl: a proxy may filter it, or the repository may have been closed.",
    ),
    _cause(
        r"status(?: code)?:? (?:429|5\d\d)\b|\b(?:429 Too Many Requests|502 Bad Gateway|503 Service Unavailable"
        r"|504 Gateway Time-?out)|\bE(?:429|50[0-9])\b|failed with (?:429|50\d)",
        "a repository is overloaded or has a fault",
        "Run the command again later, or use another mirror preset.",
    ),
    _cause(
        r"UnknownHostException:? ?([\w.-]{,200})|Unknown host ([\w.-]{1,200})"
        r"|Could not resolve host:? '?([\w.-]{1,200})|unable to look up "
        r"([\w.-]{1,200})|getaddrinfo (?:EAI_AGAIN|ENOTFOUND) ?([\w.-]{,200})|Temporary failure in name resolution"
        r"|Name or service not known|: ([\w.-]{1,200}): (?:unknown host|Name or service)|\bENOTFOUND\b",
        "the name of a host is unknown",
        "Check mirrors and network.proxy in the project file, and whether the host still exists. "
        "See: bigtop-builder doctor",
    ),
    _cause(
        r"(?:Could not transfer|connect(?:ion)? to|https?://|fetch|download|npm|request).{,300}"
        r"(?:Connection refused|timed out|reset|unreachable|failed: )|ConnectTimeoutException|Network is unreachable"
        r"|\bECONN(?:RESET|REFUSED)\b|\bETIMEDOUT\b|Could not transfer artifact|SocketTimeoutException",
        "a repository or host is unreachable",
        "Check mirrors and network.proxy in the project file. See: bigtop-builder doctor",
    ),
    # Artifacts and binaries that do not exist.
    _cause(
        r"in offline mode and the artifact (\S{1,300}) has not been|No cached version of (\S{1,300}) available"
        r"|\bENOTCACHED\b",
        "something is not in the download cache, and this build is offline",
        "Build once without --offline, or without a lock (--locks ignore).",
    ),
    _cause(
        r"(?:not find|missing|resolve|find file).{,200}?([\w.:-]{,80}linux[-_](?:aarch_?64|arm64|ppc\w{2,8}|s390\w{1,3}"
        r"|riscv\w{,3})[\w.:-]{,40})|Unsupported platform: (\S{1,100})|Unexpected platform or architecture: (\S{1,100})"
        r"|can't load \w+ \d+-bit \.so on|Exec format error|wrong ELF class",
        "a binary does not exist for this processor",
        "Use a version that has one, replace the artifact by a patch, or build it (protoc, node, leveldbjni) before.",
    ),
    _cause(
        r"protoc version is '|protoc did not exit cleanly|PROTOC FAILED|protoc-gen-[\w-]+: program not found",
        "protoc does not work or has another version than the source wants",
        "Have the component's script build or fetch the version that its build file names, and put it first in PATH.",
    ),
    _cause(
        r"version [`'‘](GLIBC(?:XX)?_[\d.]+|CXXABI_[\d.]+)['’] not found",
        "a downloaded program needs a newer system library than the builder image has",
        "Use an older version of the program (Node from 18 on needs glibc 2.28), or a newer builder.",
    ),
    _cause(
        r"(?:jdk\.tools:jdk\.tools|com\.sun:tools)\S* .{,200}tools\.jar|artifact (jdk\.tools:jdk\.tools\S*)",
        "the source needs tools.jar, which JDK 8 was the last to have",
        "Set build.jdk: 8 in the component file.",
    ),
    _cause(
        r"(?:not find|find artifact|resolve|Failure to find|missing"
        r"|unresolved).{,200}?([\w.-]{1,80}:[\w.:-]{1,120}-SNAPSHOT)\b",
        "a snapshot is not in any of the repositories",
        "Snapshots are not kept. Set a released version (-D… or a patch), or build the component that makes it before.",
    ),
    _cause(
        r"Could not find artifact (\S{1,300})|Failure to find (\S{1,300})"
        r"|Could not find (\S{1,200}:\S{1,200}:[\w.-]{1,80})\."
        r"|Plugin (\S{1,200}) or one of its dependencies could not"
        r"|unresolved dependency: (\S{1,300}?)(?::? not found|$)"
        r"|:: ([\w.#;-]{1,300}): not found|No matching version found for (\S{1,200}[^\s.])"
        r"|Couldn't find package \"(\S{1,200})\""
        r"|Couldn't find any versions for \"([^\"]{1,200})\"|No matching distribution found for (\S{1,200})"
        r"|The requested resource '([^']{1,200})' could not be found"
        r"|Could not resolve (\S{1,200}:\S{1,200}:[\w.-]{1,80})\."
        r"|Error downloading (\S{1,200}:\S{1,200})|Could not resolve dependencies|status(?: code)?:? 404\b"
        r"|\b404 Not Found"
        r"|\bE404\b|\bETARGET\b|No plugin found for prefix '([^']{1,100})'|impossible to resolve dependencies",
        "an artifact is not in any of the repositories",
        "Check mirrors in the project file: does your mirror have everything? If no repository has it any more, "
        "exclude "
        "the dependency or change its version by a patch.",
    ),
    _cause(
        r"Invalid or corrupt jarfile (\S{1,300})|zip END header not found|not in gzip format|invalid (?:LOC|CEN) header"
        r"|Unexpected end of ZLIB input stream|error in opening zip file",
        "a downloaded archive is damaged, or is a page of HTML",
        "Its address no longer serves the file (sbt's launcher, Gradle's wrapper). Look at what it holds, and set a "
        "mirror.",
    ),
    # Checks and tools that do not fit the source.
    _cause(
        r"ERR_OSSL_EVP_UNSUPPORTED|digital envelope routines::unsupported",
        "webpack of this source does not work with OpenSSL 3",
        "Set NODE_OPTIONS=--openssl-legacy-provider in build.environment, or use a Node below 17.",
    ),
    _cause(
        r"error .{,200}The engine \"(\w{1,20})\" is incompatible|(?:err!|error) .{,40}EBADENGINE",
        "this version of Node is not what a dependency wants",
        "Change the version of Node that the build file names, by a patch or -DnodeVersion=…",
    ),
    _cause(
        r"Can't find Python executable|Could not find any Python installation|gyp ERR! find Python"
        r"|gyp ERR! stack Error: .{,80}Python",
        "node-gyp finds no Python that it can use",
        "Old versions want Python 2. Use a dependency that has a binary for this platform, or a newer node-gyp.",
    ),
    _cause(
        r"Missing parentheses in call to 'print'|No module named '?(?:ConfigParser|urllib2|commands|StringIO)\b"
        r"|(python2)\S*: (?:command )?not found",
        "a script of the build is written in Python 2",
        "Patch the script, or leave out the step that runs it.",
    ),
    _cause(
        r"Detected JDK version: ?\S{1,40} is not|RequireJavaVersion|Unsupported class file major version"
        r"|invalid (?:target|source) "
        r"release|UnsupportedClassVersionError|(?:Source|Target) (?:option|release) \S{1,10} is no longer supported"
        r"|class file has wrong version|compiled by a more recent version|Could not determine java version"
        r"|release version \S{1,10} not supported|Unrecognized VM option '?(\w{1,60})|InaccessibleObjectException"
        r"|\bpackage (javax\.(?:xml\.bind|annotation|activation)|sun\.misc)\S{,60} does not exist",
        "the JDK does not match this source",
        "Check build.jdk of the component.",
        shown=r"Detected JDK version",
    ),
    _cause(
        r"Rule \d+: (?:[\w.]{,120}\.)?(\w{1,60}) failed with message|Some Enforcer rules have failed",
        "a rule of Maven's enforcer plugin is broken",
        "The message of the rule says what it wants. Cure it, or skip the rules with -Denforcer.skip.",
        shown=r"Rule \d+: .* failed with message",
    ),
    _cause(
        r"Too many files with unapproved license|apache-rat-plugin",
        "files have no approved license header",
        "The check looks at what the build left, too. Skip it with -Drat.skip=true.",
    ),
    _cause(
        r"\d+ Checkstyle violations?|(?:checkstyle|findbugs|spotbugs|pmd|spotless|scalastyle|buf"
        r"|license)-maven-plugin\S*:\S* "
        r".{,100}on project",
        "a check of the source's style or quality fails",
        "It is of no use in a package build: -Dcheckstyle.skip, -Dfindbugs.skip, -Dspotbugs.skip, "
        "-Dspotless.check.skip …",
    ),
    _cause(
        r"There are test failures|There were (?:test failures|failing tests)"
        r"|terminated without (?:properly )?saying (?:properly )?goodbye"
        r"|(?:surefire|failsafe|scalatest)-(?:maven-)?plugin\S*:\S* .{,100}on project",
        "tests of the source fail",
        "Tests belong in upstream's CI: -DskipTests (compiles them) or -Dmaven.test.skip=true. For one module: -pl.",
        shown=r"^\W*(?:Failed tests:|Tests in error|(?:ERROR\] )?(?:Failures|Errors): *$)|<<< (?:FAILURE|ERROR)!",
    ),
    _cause(
        r"^not ok \d+ - (.{1,200})$",
        "a check of the smoke test fails",
        "What it printed is before its line in the log.",
    ),
    _cause(
        r"javadoc: error|maven-javadoc-plugin|generating javadoc|MavenReportException",
        "generating documentation fails",
        "Leave it out: -Dmaven.javadoc.skip=true, and no goal 'site'.",
        shown=r"javadoc: error|\.java:\d+: error",
    ),
    _cause(
        r"(?:buildnumber|git-commit-id)-(?:maven-)?plugin\S*:\S* .{,100}on project|Execution failed .{,100}grgit",
        "the build wants to ask git for its revision, and the source is no clone",
        "Take a source of kind git, set what the plugin would have found (-D…), or skip the plugin by a patch.",
    ),
    # Compilers.
    _cause(
        r"fatal error: (\S{1,200}): No such file|(?-i:Could NOT find (\w{1,60}))|file provided by \"(\w{1,60})\""
        r"|No package '([^']{1,60})' "
        r"found|cannot find -l(\S{1,60})|required library (\w{1,60})|configure: error: .{,60}(?:not found|required"
        r"|missing)",
        "a header or library is missing in the builder image",
        "Add its development package under build.packages of the component.",
        shown=r"CMake Error|fatal error: ",
    ),
    _cause(
        r"error: implicit declaration of|error: .{,200}\[-Wincompatible-pointer-types\]"
        r"|error: .{,200}\[-Wint-conversion\]"
        r"|multiple definition of|\[-Werror|warnings being treated as errors",
        "the C compiler is stricter than the one that this source was written for",
        "Add to CFLAGS in build.environment: -Wno-error=implicit-function-declaration, "
        "-Wno-error=incompatible-pointer-types, "
        "-fcommon or -Wno-error.",
    ),
    _cause(
        r"unmappable character|MalformedInputException|Input length = 1\b",
        "a text is read in another encoding than it is written in",
        "Set -Dproject.build.sourceEncoding=UTF-8 or JAVA_TOOL_OPTIONS=-Dfile.encoding=UTF-8 in build.environment.",
    ),
    _cause(
        r"COMPILATION ERROR|Compilation failure|error: compilation failed|Compile failed; see the compiler"
        r"|Compilation failed|\.(?:c|cc|cpp|cxx|h|hpp|java|scala|groovy|ts):\[?\d+[:,]?\d*\]?:? .{,5}(?:fatal )?error|"
        r"\[error\] \S{1,300}\.scala:\d+|undefined reference to",
        "the source does not compile",
        "If it compiles elsewhere, compare the versions of the compiler and of what it builds on; else mend it by a "
        "patch.",
        shown=r"\.\w{1,6}:\[?\d+[:,]?\d*\]?:? |undefined reference to",
    ),
    # rpm.
    _cause(
        r"Failed build dependencies|^\s+(\S{1,200}) is needed by \S+$",
        "a package that the spec needs is missing in the builder image",
        "Add it under build.packages of the component, or take it out of the spec's BuildRequires.",
    ),
    _cause(
        r"ambiguous python shebang in (\S{1,300}?):|has shebang which doesn't start",
        "rpm refuses the first line of a script",
        "Let the install script change it to #!/usr/bin/python3, or leave the script out.",
    ),
    _cause(
        r"(?:Duplicate|Missing) build-ids?|Empty %files file \S*debug"
        r"|ERROR +\d{4}: file '(\S{1,300})' contains an? \w+ rpath",
        "rpm refuses how native files were linked",
        "Set '%global debug_package %{nil}' or '%global _build_id_links none' in the spec; strip a broken rpath with "
        "chrpath.",
    ),
    _cause(
        r"File not found: (/\S{1,300})|File must begin with \"/\"|Installed \(but unpackaged\) file\(s\) found",
        "the file list does not match what the install script installed",
        "Compare 'files' of the component's packages with its install script.",
    ),
    Cause(
        NATIVE_IN_NOARCH,
        "a noarch package has native files",
        "Set arch: native in the component file (BuildArch in a spec of Bigtop's), or do not install these files.",
    ),
    _cause(
        r"Bad exit status from \S+ \(%install\)",
        "the install script of the component failed",
        "Its output is just before the first 'Bad exit status' in the log; enter the build with: bigtop-builder shell",
    ),
    # What successful builds print as well, so that it counts only near the end.
    _cause(
        r"(?:\bsh|line \d+): (?:line \d+: )?(?:\d+: )?([\w./+-]{1,80}): (?:command )?not found"
        r"|Cannot run program \"([^\"]{1,200})\""
        r"|env: ['‘]?([\w.+-]{1,80})['’]?: No such file|make(?:\[\d+\])?: ([\w./+-]{1,80}): No such file"
        r"|no acceptable C compiler found",
        "a tool is missing in the builder image",
        "Add its package under build.packages of the component.",
        at_end=True,
    ),
    _cause(
        r"No rule to make target [`'‘]?([^'’\s]{1,200})",
        "a file that make needs does not exist",
        "An earlier step should have made it, or the source has other folders than the script says.",
        at_end=True,
    ),
    _cause(
        r"^\W*Traceback \(most recent call last\)",
        "a Python program failed",
        "Its last line says why.",
        at_end=True,
    ),
    _cause(r"Permission denied", "no permission to read or write a file", "The error names the file.", at_end=True),
    _cause(
        r"^\W*(?:cp|mv|install|tar|ln|rm|sed|cat|unzip|chmod|chown|find|ls): .{,120}?['‘ ]?([^\s'‘’:]{1,200})['’]?: "
        r"(?:Cannot open: )?No such file|line \d+: (?:cd: )?([^\s:]{1,200}): No such file",
        "the script uses a file that does not exist",
        "The build of this version may put it elsewhere: look for it with bigtop-builder shell.",
        at_end=True,
    ),
)
