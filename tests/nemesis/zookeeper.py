"""The original as a target: Debian's zookeeper 3.8, three nodes."""

import socket
from pathlib import Path

from cluster import NODES, Cluster, Node

JARS = Path("/usr/share/java")
JAR = JARS / "zookeeper.jar"
# What it says in the log; without them it runs all the same, and says nothing.
LOG_JARS = [JARS / "slf4j-log4j12.jar", JARS / "log4j-1.2.jar"]
TICK_MS = 500
# It allocates its log ahead by 64 MiB, with which a full disk is not noticed.
LOG_STEP_KIB = 1024

LOG4J = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d [%t] %p %c{1} %m%n
"""


class Zookeeper(Cluster):
    ends_on_full_disk = True

    def start(self):
        if not JAR.exists():
            raise FileNotFoundError(f"{JAR} is not there: apt-get install zookeeper")
        hosts, ports = self._addresses()
        members = "".join(
            f"server.{n}={hosts[n]}:{ports[n][1]}:{ports[n][2]}:participant\n" for n in hosts
        )
        for number in hosts:
            home = self.folder / f"node-{number}"
            home.mkdir()
            self.data(number).mkdir()
            (self.data(number) / "myid").write_text(f"{number}\n")
            (home / "log4j.properties").write_text(LOG4J)
            (home / "zoo.cfg").write_text(
                f"tickTime={TICK_MS}\ninitLimit=20\nsyncLimit=5\n"
                f"dataDir={self.data(number)}\n"
                f"clientPortAddress={hosts[number]}\nclientPort={ports[number][0]}\n"
                "maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n"
                f"standaloneEnabled=false\nreconfigEnabled=true\n{members}"
            )
            command = [*self.within(number), "java", "-Xmx256m", "-XX:TieredStopAtLevel=1"]
            command += [f"-Dzookeeper.preAllocSize={LOG_STEP_KIB}"]
            command += ["-Dzookeeper.extendedTypesEnabled=true", "-cp"]
            command += [":".join(map(str, (home, JAR, *LOG_JARS)))]
            command += ["org.apache.zookeeper.server.quorum.QuorumPeerMain", home / "zoo.cfg"]
            address = (hosts[number], ports[number][0])
            self.nodes[number] = Node(number, address, command, home / "said")
            self.nodes[number].start()

    def _addresses(self):
        numbers = range(1, NODES + 1)
        if self.network:
            hosts = {number: self.network.address(number) for number in numbers}
            return hosts, {number: (2181, 2888, 3888) for number in numbers}
        ports = free_ports(3 * NODES)
        return {n: "127.0.0.1" for n in numbers}, {n: ports[3 * n - 3 : 3 * n] for n in numbers}


def free_ports(count):
    """Free at this moment, all at once."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
