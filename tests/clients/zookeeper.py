"""The original as a target: three servers, from Debian's package or from the
jars that PySpark brings."""

import install
from kit import Failed, Process, free_base_port, wait_for, word

SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
SASL_USERS = {"super": "super_secret", "jaasuser": "jaas_password"}
DEBIAN_JAR = "/usr/share/java/zookeeper.jar"

SETTINGS = """\
tickTime=2000
initLimit=10
syncLimit=5
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
extendedTypesEnabled=true
authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
"""

LOG4J = """\
log4j.rootLogger=WARN, OUT
log4j.appender.OUT=org.apache.log4j.ConsoleAppender
log4j.appender.OUT.layout=org.apache.log4j.PatternLayout
log4j.appender.OUT.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""


class Server:
    """One server: stopped and started again on the same data."""

    def __init__(self, number, folder, port, classpath):
        self.number = number
        self.address = f"127.0.0.1:{port}"
        self.folder, self.classpath = folder, classpath
        self.process = None

    def running(self):
        return self.process is not None and self.process.running()

    def start(self):
        if not self.running():
            self.process = Process(self._command(), self.folder / "said")

    def answers(self):
        if not self.running():
            raise Failed(f"server {self.number} ended: {self.process.tail()}")
        said = word(self.address, b"srvr")
        return said is not None and b"Mode:" in said

    def stop(self):
        if self.process is not None:
            self.process.end()

    def kill(self):
        self.process.kill()

    def _command(self):
        return [
            "java",
            "-Xmx512m",
            # A digest is taken over the password's bytes; they are UTF-8.
            "-Dfile.encoding=UTF-8",
            "-Dreadonlymode.enabled=true",
            "-Dzookeeper.extendedTypesEnabled=true",
            # Otherwise 3.9 refuses DIGEST-MD5.
            "-Dzookeeper.fips-mode=false",
            f"-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}",
            f"-Djava.security.auth.login.config={self.folder}/jaas.conf",
            f"-Dlog4j.configuration=file:{self.folder}/log4j.properties",
            "-cp",
            self.classpath,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            self.folder / "zoo.cfg",
        ]


class Target:
    def __init__(self, folder, name):
        self.name = name
        install.java()
        self.version = "3.9.5" if name == "zookeeper-3.9" else "3.8.0"
        if name == "zookeeper-3.9":
            self.classpath = f"{install.spark_jars()}/*"
        else:
            install.debian("zookeeper")
            self.classpath = DEBIAN_JAR
        base = free_base_port()
        client = {i: base + 100 * i + 1 for i in (1, 2, 3, 4)}
        members = "standaloneEnabled=false\nreconfigEnabled=true\n" + "".join(
            f"server.{i}=127.0.0.1:{client[i] + 10}:{client[i] + 11}:participant"
            f";127.0.0.1:{client[i]}\n"
            for i in (1, 2, 3)
        )
        self.nodes = [self._server(i, folder, client[i], members) for i in (1, 2, 3)]
        alone = f"clientPortAddress=127.0.0.1\nclientPort={client[4]}\n"
        # Its own ensemble: a malformed write makes three servers of the
        # original disagree about the next transaction, and they answer no more.
        self.alone = self._server(4, folder, client[4], alone)

    def _server(self, number, folder, port, ensemble):
        place = folder / f"server{number}"
        (place / "data").mkdir(parents=True)
        (place / "data" / "myid").write_text(str(number))
        (place / "log4j.properties").write_text(LOG4J)
        users = "".join(f'\n  user_{user}="{word}"' for user, word in SASL_USERS.items())
        (place / "jaas.conf").write_text(
            "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required"
            + users
            + ";\n};\n"
        )
        (place / "zoo.cfg").write_text(f"{SETTINGS}dataDir={place}/data\n{ensemble}")
        return Server(number, place, port, self.classpath)

    @property
    def hosts(self):
        return ",".join(node.address for node in self.nodes)

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            wait_for(f"server {node.number} serves", node.answers)

    def start_alone(self):
        """One more server that belongs to no ensemble; its address."""
        self.alone.start()
        wait_for("the lone server serves", self.alone.answers)
        return self.alone.address

    def stop(self):
        for node in [*self.nodes, self.alone]:
            node.stop()
