"""The ends of logs of failed builds, one or more for each kind of break, shortened.

The lines are as the tools print them: Maven 3.6 to 3.9, Gradle, Ant with Ivy, sbt, npm, yarn, bower, node-gyp, GCC,
CMake, rpm 4.14, Python and bash. Issues that report such a break are named where one is known.
"""

from __future__ import annotations

from dataclasses import dataclass

HELP = """\
[ERROR]
[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.
[ERROR] Re-run Maven using the -X switch to enable full debug logging.
[ERROR]
[ERROR] For more information about the errors and possible solutions, please read the following articles:
[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/MojoFailureException
"""
FAILURE = """\
[INFO] ------------------------------------------------------------------------
[INFO] BUILD FAILURE
[INFO] ------------------------------------------------------------------------
[INFO] Total time:  01:12 min
[INFO] Finished at: 2026-11-28T15:12:51Z
[INFO] ------------------------------------------------------------------------
"""
SUCCESS = """\
[INFO] Scanning for projects...
[WARNING] The POM for org.x:old:jar:1.0 is missing, no dependency information available
[WARNING] Could not transfer metadata org.x:y:1-SNAPSHOT/maven-metadata.xml from/to snapshots: Connection timed out
[WARNING] [git, branch] failed: java.io.IOException: Cannot run program "git": error=2, No such file or directory
[WARNING] /work/src/hadoop-hdfs/src/test/TestClient.java:[101,23] sun.net.spi.NameService is internal proprietary API
[WARNING] /work/src/native/conf.cc:88:24: warning: catching polymorphic type ‘ha_parse_error’ by value [-Wcatch-value=]
[WARNING] npm WARN deprecated bower@1.8.0: We recommend yarn. ENOTFOUND is not what you think
[INFO] Copying failureaccess-1.0.1.jar to /work/src/hadoop-yarn/target/lib/failureaccess-1.0.1.jar
[ 14%] Building CXX object CMakeFiles/libprotobuf.dir/google/protobuf/util/internal/error_listener.cc.o
-- Could NOT find ZSTD (missing: ZSTD_LIBRARY ZSTD_INCLUDE_DIR)
-- Looking for dlopen - not found
fatal: not a git repository (or any of the parent directories): .git
ERROR: hadoop-resourceestimator has missing dependencies: okio-2.8.0.jar
ERROR: hadoop-resourceestimator has missing dependencies: kotlin-stdlib-1.4.10.jar
Tests run: 12, Failures: 0, Errors: 0, Skipped: 3
[EL Finest]: weaver: 2026-11-28 08:28:03.552--Missing class details for [org/apache/ambari/server/AmbariErrorHandler].
"""
"""Lines from logs of builds of Ambari, Hadoop and its native parts that succeeded."""


def maven(verdict: str, before: str = "") -> str:
    """Return the end of a log of Maven."""
    return f"{before}{FAILURE}[ERROR] {verdict} -> [Help 1]\n{HELP}"


def unresolved(reason: str, project: str = "flink-connector-hive_2.12") -> str:
    """Return what Maven prints when it cannot have a dependency."""
    return maven(
        f"Failed to execute goal on project {project}: Could not resolve dependencies for project "
        f"org.apache.flink:{project}:jar:1.15.3: {reason}"
    )


@dataclass(frozen=True)
class Break:
    """A failed build: its log, the cause that it has, and a line of the log that the user should see first."""

    name: str
    log: str
    cause: str
    first: str
    """How the first line of the first error begins."""
    message: str = "the compile script exited with 1"


BREAKS = [
    Break(
        "PKIX",
        unresolved(
            "Could not transfer artifact org.x:a:pom:1 from/to central (https://repo.example/m2): PKIX path building "
            "failed: "
            "sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to "
            "requested target"
        ),
        "a TLS certificate is not trusted",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "TLS 1.0 (frontend-maven-plugin#696)",
        maven(
            "Failed to execute goal com.github.eirslett:frontend-maven-plugin:1.6:install-node-and-yarn (install "
            "node) on project web: "
            "Could not download Yarn: Could not download https://github.example/yarn-v1.5.1.tar.gz: Received fatal "
            "alert: protocol_version"
        ),
        "a server does not speak the TLS version of this tool",
        "[ERROR] Failed to execute goal com.github",
    ),
    Break(
        "disk full",
        "[ERROR] /work/src/x/A.java: error while writing A: No space left on device\n"
        + maven("Failed to execute goal x: Compilation failure"),
        "the source does not compile",
        "[ERROR] Failed to execute goal x",
    ),
    Break(
        "disk full in a script",
        "cp: error writing '/work/stage/lib/a.jar': No space left on device\n",
        "the disk is full",
        "cp: error writing",
    ),
    Break(
        "exit 137",
        "[INFO] Compiling 2034 Scala sources\n/work/compile.sh: line 9:   214 Killed                  mvn -B package\n"
        "make: *** [Makefile:12: jar] Error 137\n",
        "out of memory",
        "make: *** [Makefile:12: jar] Error 137",
        "the compile script exited with 2",
    ),
    Break("cgroup", "[INFO] Building jar\n", "out of memory", "", "the container ran out of memory"),
    Break(
        "heap of Java",
        '[ERROR] Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n',
        "out of memory",
        "[ERROR] Exception in thread",
    ),
    Break(
        "heap of Node",
        "[INFO] FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of "
        "memory\n"
        + maven(
            "Failed to execute goal com.github.eirslett:frontend-maven-plugin:1.11.2:yarn (yarn build) on project "
            "ui: Failed to run task"
        ),
        "out of memory",
        "[INFO] FATAL ERROR: Ineffective",
    ),
    Break(
        "killed compiler",
        "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\nmake[2]: *** [x.o] "
        "Error 1\n",
        "out of memory",
        "c++: fatal error: Killed",
    ),
    Break(
        "stack of scalac",
        "[ERROR] java.lang.StackOverflowError\n[ERROR]   at scala.tools.nsc.transform.TypingTransformers.atOwner\n"
        + maven(
            "Failed to execute goal net.alchim31.maven:scala-maven-plugin:4.3.0:compile (x) on project "
            "spark-catalyst_2.12: wrap: x"
        ),
        "a compiler's stack is too small",
        "[ERROR] java.lang.StackOverflowError",
    ),
    Break(
        "patch",
        "patching file pom.xml\nHunk #2 FAILED at 414.\n1 out of 2 hunks FAILED\n",
        "a patch does not apply to this source",
        "Hunk #2 FAILED at 414.",
    ),
    Break(
        "npm integrity",
        "npm ERR! code EINTEGRITY\nnpm ERR! sha512-abc integrity checksum failed when using sha512\n",
        "a download does not match its checksum",
        "npm ERR! code EINTEGRITY",
    ),
    Break(
        "bower's registry (Metanome#395)",
        "[ERROR] bower angular-ui-router#~0.4.2 EINVRES Request to "
        "https://bower.herokuapp.com/packages/angular-ui-router failed with 502\n"
        + maven(
            "Failed to execute goal com.github.eirslett:frontend-maven-plugin:1.0:bower (bower install) on project "
            "ui: Failed to run task"
        ),
        "bower uses a registry that has been shut down",
        "[ERROR] bower angular-ui-router",
    ),
    Break(
        "git protocol",
        "[INFO] npm ERR! fatal: remote error:\n"
        "[INFO] npm ERR!   The unauthenticated git protocol on port 9418 is no longer supported.\n",
        "a dependency is fetched by git:// addresses, which are no longer served",
        "[INFO] npm ERR!   The unauthenticated",
    ),
    Break(
        "git protocol, blocked port",
        "npm error command git --no-replace-objects ls-remote git://git.example/x.git\n"
        "npm error fatal: unable to look up git.example (port 9418) (Name or service not known)\n",
        "a dependency is fetched by git:// addresses, which are no longer served",
        "npm error fatal: unable to look up",
    ),
    Break(
        "Maven's blocker (metatron-discovery#4021)",
        unresolved(
            "Failed to read artifact descriptor for org.x:y:jar:1: Could not transfer artifact org.x:y:pom:1 from/to "
            "maven-default-http-blocker (http://0.0.0.0/): Blocked mirror for repositories: [hdp "
            "(http://repo.x.example/, default, releases)]"
        ),
        "Maven blocks a repository without TLS that a POM names",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "HTTPS required",
        "[ERROR] Non-resolvable parent POM for x:y:1: Could not transfer artifact org.x:p:pom:1 from/to central "
        "(http://repo.example/maven2): Failed to transfer file. Return code is: 501 , ReasonPhrase:HTTPS Required. @ "
        "line 3\n",
        "a repository is asked without TLS and refuses",
        "[ERROR] Non-resolvable parent POM",
    ),
    Break(
        "conjars (BIGTOP-3929)",
        unresolved(
            "Failed to collect dependencies at org.apache.hive:hive-exec:jar:2.3.9: Could not transfer artifact "
            "org.pentaho:pentaho-aggdesigner-algorithm:pom:5.1.5-jhyde from/to conjars (http://conjars.org/repo): "
            "Connect to "
            "conjars.org:80 [conjars.org/54.235.127.59] failed: Connection timed out (Connection timed out)"
        ),
        "a repository that has been shut down is asked: conjars.org",
        "[ERROR] Failed to execute goal on project flink",
    ),
    Break(
        "bintray (lazybones#195)",
        "\nFAILURE: Build failed with an exception.\n\n* What went wrong:\nA problem occurred configuring root "
        "project 'kafka'.\n"
        "> Could not resolve all artifacts for configuration ':classpath'.\n   > Could not resolve "
        "org.x:plugin:0.2.1.\n"
        "      > Could not GET 'https://dl.bintray.com/x/plugin-0.2.1.pom'. Received status code 403 from server: "
        "Forbidden\n\n"
        "* Try:\n> Run with --stacktrace option to get the stack trace.\n\nBUILD FAILED in 3s\n",
        "a repository that has been shut down is asked: dl.bintray.com",
        "      > Could not GET",
    ),
    Break(
        "credentials",
        unresolved(
            "Could not transfer artifact g:a:pom:1 from/to mirror (https://n.example/m): status code: 401, reason "
            "phrase: Unauthorized (401)"
        ),
        "a mirror, the site's cache or a proxy rejects the credentials",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "pip's credentials",
        "WARNING: 401 Error, Credentials not correct for http://n/simple/six/\n"
        "ERROR: Could not find a version that satisfies the requirement six\nERROR: No matching distribution found "
        "for six\n",
        "a mirror, the site's cache or a proxy rejects the credentials",
        "WARNING: 401 Error",
    ),
    Break(
        "forbidden",
        unresolved(
            "Could not transfer artifact g:a:pom:1 from/to x (https://n.example/m): status code: 403, reason phrase: "
            "Forbidden (403)"
        ),
        "a repository or the site's proxy refuses a download (403)",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "too many requests",
        unresolved(
            "Could not transfer artifact g:a:jar:1 from/to central (https://n.example/m): status code: 429, reason "
            "phrase: Too Many Requests"
        ),
        "a repository is overloaded or has a fault",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "bad gateway",
        'error An unexpected error occurred: "https://npm.example/ember: Request failed \\"502 Bad Gateway\\"".\n',
        "a repository is overloaded or has a fault",
        "error An unexpected error",
    ),
    Break(
        "unknown host",
        unresolved(
            "Could not transfer artifact g:a:pom:1 from/to old (https://gone.example/m): gone.example: Name or "
            "service not known"
        ),
        "the name of a host is unknown: gone.example",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "yarn's unknown host",
        '[INFO] error An unexpected error occurred: "https://npm.example/ember-cli: getaddrinfo ENOTFOUND '
        'npm.example".\n'
        + maven(
            "Failed to execute goal com.github.eirslett:frontend-maven-plugin:1.11.2:yarn (yarn install) on project "
            "yarn-ui: Failed to run task"
        ),
        "the name of a host is unknown: npm.example",
        "[INFO] error An unexpected error",
    ),
    Break(
        "refused",
        "curl: (7) Failed to connect to mirror.example port 443 after 2 ms: Connection refused\n",
        "a repository or host is unreachable",
        "curl: (7)",
    ),
    Break(
        "offline",
        maven(
            "Failed to execute goal on project x: Cannot access central (https://n.example) in offline mode and the "
            "artifact org.x:a:jar:1.0 has not been downloaded from it before."
        ),
        "something is not in the download cache, and this build is offline: org.x:a:jar:1.0",
        "[ERROR] Failed to execute goal on project x",
    ),
    Break(
        "protoc for ARM (BIGTOP-3548)",
        "* What went wrong:\nExecution failed for task ':generateProto'.\n> Could not resolve all files for "
        "configuration ':protoc'.\n"
        "   > Could not find protoc-3.3.0-linux-aarch_64.exe (com.google.protobuf:protoc:3.3.0).\n\n* Try:\nBUILD "
        "FAILED in 2s\n",
        "a binary does not exist for this processor: protoc-3.3.0-linux-aarch_64.exe",
        "   > Could not find protoc-3.3.0",
    ),
    Break(
        "protoc-jar on ARM",
        maven(
            "Failed to execute goal com.github.os72:protoc-jar-maven-plugin:3.7.1:run (default) on project "
            "flink-python_2.12: "
            "Error extracting protoc for version 3.7.1: Unsupported platform: protoc-3.7.1-linux-aarch_64.exe"
        ),
        "a binary does not exist for this processor: protoc-3.7.1-linux-aarch_64.exe",
        "[ERROR] Failed to execute goal com.github.os72",
    ),
    Break(
        "protoc's version",
        maven(
            "Failed to execute goal org.apache.hadoop:hadoop-maven-plugins:2.10.0:protoc (compile-protoc) on project "
            "hadoop-common: "
            "org.apache.maven.plugin.MojoExecutionException: protoc version is 'libprotoc 3.7.1', expected version "
            "is '2.5.0'"
        ),
        "protoc does not work or has another version than the source wants",
        "[ERROR] Failed to execute goal org.apache.hadoop",
    ),
    Break(
        "libstdc++ (BIGTOP-3677)",
        "[ERROR] PROTOC FAILED: /work/src/hbase-protocol/target/protoc-plugins/protoc-2.5.0.2-linux-aarch_64.exe: "
        "/lib64/libstdc++.so.6: "
        "version `GLIBCXX_3.4.20' not found (required by protoc-2.5.0.2-linux-aarch_64.exe)\n",
        "protoc does not work or has another version than the source wants",
        "[ERROR] PROTOC FAILED",
    ),
    Break(
        "glibc",
        "node: /lib64/libc.so.6: version `GLIBC_2.28' not found (required by node)\n",
        "a downloaded program needs a newer system library than the builder image has: GLIBC_2.28",
        "node: /lib64",
    ),
    Break(
        "tools.jar",
        unresolved(
            "Could not find artifact jdk.tools:jdk.tools:jar:1.8 at specified path "
            "/usr/lib/jvm/java-17/../lib/tools.jar"
        ),
        "the source needs tools.jar, which JDK 8 was the last to have: jdk.tools:jdk.tools:jar:1.8",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "snapshot",
        unresolved(
            "Could not find artifact org.apache.ambari:ambari-utility:jar:1.0.0.0-SNAPSHOT in central "
            "(https://n.example/maven2)"
        ),
        "a snapshot is not in any of the repositories: org.apache.ambari:ambari-utility:jar:1.0.0.0-SNAPSHOT",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "missing artifact",
        unresolved(
            "Could not find artifact org.scalatra:scalatra_2.11:jar:2.6.5 in central (https://n.example/maven2)"
        ),
        "an artifact is not in any of the repositories: org.scalatra:scalatra_2.11:jar:2.6.5",
        "[ERROR] Failed to execute goal on project",
    ),
    Break(
        "ivy (sqoop)",
        "[ivy:resolve] \t\t:: org.apache.avro#avro;1.8.1: not found\n\nBUILD FAILED\n/work/src/build.xml:1282: "
        "impossible to resolve dependencies:\n"
        "\tresolve failed - see output for details\n",
        "an artifact is not in any of the repositories: org.apache.avro#avro;1.8.1",
        "[ivy:resolve] \t\t:: org.apache.avro",
    ),
    Break(
        "sbt",
        "[warn] \t::          UNRESOLVED DEPENDENCIES         ::\n"
        "[error] sbt.ResolveException: unresolved dependency: org.x#sbt-x;0.1: not found\n[error] Total time: 3 s\n",
        "an artifact is not in any of the repositories: org.x#sbt-x;0.1",
        "[error] sbt.ResolveException",
    ),
    Break(
        "npm 404",
        "npm error code E404\nnpm error 404 Not Found - GET https://npm.example/no-such\nnpm error 404\n"
        "npm error 404  The requested resource 'no-such@9.9.9' could not be found or you do not have permission to "
        "access it.\n"
        "npm error A complete log of this run can be found in: /work/home/.npm/_logs/debug-0.log\n",
        "an artifact is not in any of the repositories: no-such@9.9.9",
        "npm error code E404",
    ),
    Break(
        "sbt's launcher",
        "Attempting to fetch sbt\nError: Invalid or corrupt jarfile build/sbt-launch-0.13.18.jar\n",
        "a downloaded archive is damaged, or is a page of HTML: build/sbt-launch-0.13.18.jar",
        "Error: Invalid or corrupt jarfile",
    ),
    Break(
        "Node",
        maven(
            "Failed to execute goal com.github.eirslett:frontend-maven-plugin:1.11.2:install-node-and-yarn (install) "
            "on project yarn-ui: "
            "Could not download Node.js: Got error code 404 from the server."
        ),
        "a tool of the web build cannot be downloaded: Node.js",
        "[ERROR] Failed to execute goal com.github",
    ),
    Break(
        "Node's host",
        maven(
            "Failed to execute goal com.github.eirslett:frontend-maven-plugin:1.12.1:install-node-and-npm (install) "
            "on project security-admin-web: Could not download Node.js: Could not download "
            "https://node.example/n.tar.gz: "
            "Unknown host node.example: Name or service not known"
        ),
        "a tool of the web build cannot be downloaded: Node.js",
        "[ERROR] Failed to execute goal com.github",
    ),
    Break(
        "smoke test",
        "ok 1 - create\nWATCHER::\nWatchedEvent state:SyncConnected type:None path:null\nnot ok 2 - delete\n1..2\n",
        "a check of the smoke test fails: delete",
        "not ok 2 - delete",
        "the smoke test of zookeeper failed: delete",
    ),
    Break(
        "OpenSSL 3",
        "[INFO] Error: error:0308010C:digital envelope routines::unsupported\n[INFO]   code: "
        "'ERR_OSSL_EVP_UNSUPPORTED'\n",
        "webpack of this source does not work with OpenSSL 3",
        "[INFO] Error: error:0308010C",
    ),
    Break(
        "version of Node",
        'error ember-cli@3.28.0: The engine "node" is incompatible with this module. Expected version ">= 12". Got '
        '"8.12.0"\n'
        "error Found incompatible module.\n",
        "this version of Node is not what a dependency wants: node",
        "error ember-cli@3.28.0",
    ),
    Break(
        "node-gyp (BIGTOP-4421)",
        "[INFO] gyp ERR! configure error\n"
        '[INFO] gyp ERR! stack Error: Can\'t find Python executable "python", you can set the PYTHON env variable.\n'
        "[INFO] gyp ERR! stack     at PythonFinder.failNoPython (/work/src/node-gyp/lib/configure.js:484:19)\n",
        "node-gyp finds no Python that it can use",
        "[INFO] gyp ERR! stack Error",
    ),
    Break(
        "Python 2",
        '  File "setup.py", line 3\n    print "x"\nSyntaxError: Missing parentheses in call to \'print\'. Did you '
        'mean print("x")?\n',
        "a script of the build is written in Python 2",
        "SyntaxError: Missing parentheses",
    ),
    Break(
        "JDK's class files (kafka#11554)",
        "* What went wrong:\nCould not compile settings file '/work/src/settings.gradle'.\n> startup failed:\n"
        "  General error during semantic analysis: Unsupported class file major version 61\n\n* Try:\nBUILD FAILED "
        "in 1s\n",
        "the JDK does not match this source",
        "  General error during semantic analysis",
    ),
    Break(
        "source level",
        maven(
            "Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.1:compile (default-compile) on "
            "project x: Compilation failure: \n"
            "[ERROR] Source option 6 is no longer supported. Use 7 or later.\n[ERROR]",
            "[ERROR] COMPILATION ERROR : \n[ERROR] Source option 6 is no longer supported. Use 7 or later.\n",
        ),
        "the JDK does not match this source",
        "[ERROR] Source option 6",
    ),
    Break(
        "enforcer's JDK",
        "[WARNING] Rule 0: org.apache.maven.plugins.enforcer.RequireJavaVersion failed with message:\n"
        "Detected JDK Version: 17.0.15 is not in the allowed range [1.7,1.8).\n"
        + maven(
            "Failed to execute goal org.apache.maven.plugins:maven-enforcer-plugin:3.0.0:enforce (default) on "
            "project x: Some Enforcer rules have failed."
        ),
        "the JDK does not match this source",
        "Detected JDK Version: 17.0.15",
    ),
    Break(
        "enforcer",
        "[WARNING] Rule 1: org.apache.maven.plugins.enforcer.BannedDependencies failed with message:\n"
        "Found Banned Dependency: log4j:log4j:jar:1.2.17\n"
        + maven(
            "Failed to execute goal org.apache.maven.plugins:maven-enforcer-plugin:3.0.0:enforce (default) on "
            "project x: Some Enforcer rules have failed."
        ),
        "a rule of Maven's enforcer plugin is broken: BannedDependencies",
        "[WARNING] Rule 1: org.apache",
    ),
    Break(
        "licenses",
        maven(
            "Failed to execute goal org.apache.rat:apache-rat-plugin:0.12:check (default) on project x: Too many "
            "files with unapproved license: 2 See RAT report in: /work/src/target/rat.txt"
        ),
        "files have no approved license header",
        "[ERROR] Failed to execute goal org.apache.rat",
    ),
    Break(
        "checkstyle",
        maven(
            "Failed to execute goal org.apache.maven.plugins:maven-checkstyle-plugin:3.1.0:check (checkstyle) on "
            "project x: You have 3 Checkstyle violations."
        ),
        "a check of the source's style or quality fails",
        "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-checkstyle",
    ),
    Break(
        "tests",
        "Tests run: 1, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.04 sec <<< FAILURE!\nadds(org.x.ATest)  "
        "Time elapsed: 0.007 sec  <<< FAILURE!\n"
        "java.lang.AssertionError: expected:<3> but was:<2>\n\tat org.junit.Assert.fail(Assert.java:89)\n\tat "
        "org.x.ATest.adds(ATest.java:3)\n"
        + maven(
            "Failed to execute goal org.apache.maven.plugins:maven-surefire-plugin:2.12.4:test (default-test) on "
            "project x: There are test failures."
        ),
        "tests of the source fail",
        "Tests run: 1, Failures: 1",
    ),
    Break(
        "javadoc (HBASE-19663)",
        maven(
            "Failed to execute goal org.apache.maven.plugins:maven-site-plugin:3.4:site (default-site) on project "
            "hbase: Error generating "
            "maven-javadoc-plugin:2.10.3:aggregate:\n[ERROR] Exit code: 1 - warning: unknown enum constant When.MAYBE\n"
            "[ERROR] javadoc: error - class file for javax.annotation.concurrent.Immutable not found\n[ERROR]"
        ),
        "generating documentation fails",
        "[ERROR] javadoc: error",
    ),
    Break(
        "header",
        "cc -c -o a.o a.c\na.c:2:10: fatal error: openssl/evp.h: No such file or directory\n    2 | #include "
        "<openssl/evp.h>\n"
        "      |          ^~~~~~~~~~~~~~~\ncompilation terminated.\nmake: *** [Makefile:3: a.o] Error 1\n",
        "a header or library is missing in the builder image: openssl/evp.h",
        "a.c:2:10: fatal error",
    ),
    Break(
        "library of CMake in Hadoop",
        "[WARNING] CMake Error at /usr/share/cmake/Modules/FindPackageHandleStandardArgs.cmake:230 (message):\n"
        "[WARNING]   Could NOT find JNI (missing: AWT)\n[WARNING] Call Stack (most recent call first):\n"
        + maven(
            "Failed to execute goal org.apache.hadoop:hadoop-maven-plugins:3.3.4:cmake-compile (cmake-compile) on "
            "project hadoop-common: CMake failed with error code 1"
        ),
        "a header or library is missing in the builder image: JNI",
        "[WARNING] CMake Error at",
    ),
    Break(
        "GCC 14",
        "[WARNING] /work/src/x/exec.c:77:5: error: implicit declaration of function ‘mkstemp’ "
        "[-Wimplicit-function-declaration]\n"
        "[WARNING] make[2]: *** [CMakeFiles/x.dir/build.make:76: x.o] Error 1\n"
        + maven(
            "Failed to execute goal org.apache.hadoop:hadoop-maven-plugins:3.3.4:cmake-compile (cmake-compile) on "
            "project x: make failed with error code 2"
        ),
        "the C compiler is stricter than the one that this source was written for",
        "[WARNING] /work/src/x/exec.c:77:5: error",
    ),
    Break(
        "encoding (BIGTOP-4536)",
        maven(
            "Failed to execute goal org.apache.maven.plugins:maven-site-plugin:3.21.0:site (default-site) on project "
            "x: "
            "Unable to write 'options' temporary file for command execution: Input length = 1"
        ),
        "a text is read in another encoding than it is written in",
        "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-site",
    ),
    Break(
        "javac",
        maven(
            "Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.1:compile (default-compile) on "
            "project x: Compilation failure: Compilation failure: \n"
            "[ERROR] /work/src/x/A.java:[3,20] cannot find symbol\n[ERROR]   symbol:   variable nosuch\n[ERROR]   "
            "location: class org.x.A\n[ERROR]",
            "[ERROR] COMPILATION ERROR : \n[INFO] -------------------------------------------------------------\n"
            "[ERROR] /work/src/x/A.java:[3,20] cannot find symbol\n  symbol:   variable nosuch\n  location: class "
            "org.x.A\n[INFO] 1 error\n",
        ),
        "the source does not compile",
        "[ERROR] /work/src/x/A.java:[3,20] cannot find symbol",
    ),
    Break(
        "scalac",
        "[error] /work/src/core/A.scala:12:5: not found: value x\n[error]     x.y()\n[error]     ^\n[error] one "
        "error found\n",
        "the source does not compile",
        "[error] /work/src/core/A.scala:12:5",
    ),
    Break(
        "ant's javac",
        "    [javac] /work/src/A.java:7: error: cannot find symbol\n    [javac]     foo();\n    [javac]     ^\n    "
        "[javac] 1 error\n\n"
        "BUILD FAILED\n/work/src/build.xml:12: Compile failed; see the compiler error output for details.\n",
        "the source does not compile",
        "    [javac] /work/src/A.java:7: error",
    ),
    Break(
        "linker",
        "/usr/bin/ld: /tmp/x.o: in function `main':\nc.c:(.text+0xa): undefined reference to `foo'\ncollect2: error: "
        "ld returned 1 exit status\n",
        "the source does not compile",
        "c.c:(.text+0xa)",
    ),
    Break(
        "build requirements (BIGTOP-4385)",
        "error: Failed build dependencies:\n\tsystemd-rpm-macros is needed by hadoop-3.3.6-1.x86_64\n",
        "a package that the spec needs is missing in the builder image: systemd-rpm-macros",
        "error: Failed build dependencies",
    ),
    Break(
        "shebang (BIGTOP-3831)",
        "+ /usr/lib/rpm/redhat/brp-mangle-shebangs\n"
        "*** ERROR: ambiguous python shebang in /usr/lib/bigtop-select/conf-select: #!/usr/bin/env python. Change it "
        "to python3 (or python2) explicitly.\n"
        "error: Bad exit status from /var/tmp/rpm-tmp.e5ZYhS (%install)\n",
        "rpm refuses the first line of a script: /usr/lib/bigtop-select/conf-select",
        "*** ERROR: ambiguous python shebang",
    ),
    Break(
        "debug packages (BIGTOP-2971)",
        "Processing files: ranger-debugsource-2.2.0-1.x86_64\nerror: Empty %files file "
        "/work/rpmbuild/BUILD/ranger/debugsourcefiles.list\n",
        "rpm refuses how native files were linked",
        "error: Empty %files file",
    ),
    Break(
        "file list",
        "Processing files: tez-0.10.1-1.el8.noarch\nerror: File not found: /work/BUILDROOT/tez/usr/lib/tez/x.jar\n",
        "the file list does not match what the install script installed: /work/BUILDROOT/tez/usr/lib/tez/x.jar",
        "error: File not found",
    ),
    Break(
        "%install",
        "+ bash -eu install.sh\ncp: cannot stat 'x': Is a directory\nerror: Bad exit status from /var/tmp/rpm-tmp.1 "
        "(%install)\n",
        "the install script of the component failed",
        "error: Bad exit status",
    ),
    Break(
        "tool (rpm-maven-plugin#109)",
        "[WARNING] /bin/sh: rpmbuild: command not found\n"
        + maven(
            "Failed to execute goal org.codehaus.mojo:rpm-maven-plugin:2.0.1:rpm (default-cli) on project ambari: "
            "RPM build execution returned: '127'"
        ),
        "a tool is missing in the builder image: rpmbuild",
        "[WARNING] /bin/sh: rpmbuild",
    ),
    Break(
        "tool of a plugin",
        maven(
            'Failed to execute goal x:y:1:cmake (default) on project z: Cannot run program "cmake" (in directory '
            '"/work/src"): error=2, No such file or directory'
        ),
        "a tool is missing in the builder image: cmake",
        "[ERROR] Failed to execute goal x:y:1",
    ),
    Break(
        "revision",
        maven(
            "Failed to execute goal org.codehaus.mojo:buildnumber-maven-plugin:1.4:create (default) on project "
            "phoenix: Cannot get the revision "
            "information from the scm repository: fatal: not a git repository"
        ),
        "the build wants to ask git for its revision, and the source is no clone",
        "[ERROR] Failed to execute goal org.codehaus",
    ),
    Break(
        "make",
        "make: *** No rule to make target 'all'.  Stop.\n",
        "a file that make needs does not exist: all",
        "make: *** No rule",
    ),
    Break(
        "Python",
        'Traceback (most recent call last):\n  File "build.py", line 1, in <module>\n    json.loads("{")\n'
        "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n",
        "a Python program failed",
        "Traceback",
    ),
    Break(
        "file of the script",
        "cp: cannot stat 'target/hadoop-3.3.4/README.txt': No such file or directory\n",
        "the script uses a file that does not exist: target/hadoop-3.3.4/README.txt",
        "cp: cannot stat",
    ),
]
