"""Network namespaces, one per node, on one bridge of the test's own, and cuts
between them by nftables. The test itself stands on the bridge too, so clients
reach every node whatever is cut between nodes."""

import os
import subprocess

RULES = """table inet cut {
    set deaf {
        type ipv4_addr
    }
    set mute {
        type ipv4_addr
    }
    chain input {
        type filter hook input priority -10; policy accept;
        ip saddr @deaf counter drop
    }
    chain output {
        type filter hook output priority -10; policy accept;
        ip daddr @mute counter drop
    }
}
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def is_possible():
    """Whether this machine lets us make namespaces and rules."""
    if os.geteuid() != 0:
        return False
    try:
        name = f"dn{os.getpid() % 10000}try"
        ip("netns", "add", name)
        try:
            command = ["ip", "netns", "exec", name, "nft", "list", "ruleset"]
            subprocess.run(command, check=True, capture_output=True)
        finally:
            ip("netns", "del", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Network:
    """Names and addresses carry the process id, so that two runs at the same
    time do not meet."""

    def __init__(self, nodes):
        mark = os.getpid() % 10000
        self.bridge = f"dn{mark}b"
        # 250 x 250 networks of 10.x.y.0/24, none of them 10.0.y.0.
        self.prefix = f"10.{1 + mark % 250}.{mark // 250 % 250}"
        self.names = {node: f"dn{mark}n{node}" for node in range(1, nodes + 1)}

    def address(self, node):
        return f"{self.prefix}.{node}"

    def __enter__(self):
        try:
            ip("link", "add", self.bridge, "type", "bridge")
            ip("addr", "add", f"{self.prefix}.254/24", "dev", self.bridge)
            ip("link", "set", self.bridge, "up")
            for node, name in self.names.items():
                ip("netns", "add", name)
                port = f"{name}p"
                ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
                ip("link", "set", port, "master", self.bridge, "up")
                ip("-n", name, "addr", "add", f"{self.address(node)}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
                ip("-n", name, "link", "set", "lo", "up")
                self._nft(node, RULES)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # As far as it came; what is not there cannot be taken away.
        for name in self.names.values():
            subprocess.run(["ip", "link", "del", f"{name}p"], capture_output=True)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)

    def within(self, node):
        """The words before a command that is to run at a node."""
        return ["ip", "netns", "exec", self.names[node]]

    def cut(self, source, target):
        """Nothing that source sends reaches target."""
        self._nft(target, f"add element inet cut deaf {{ {self.address(source)} }}\n")
        self._nft(source, f"add element inet cut mute {{ {self.address(target)} }}\n")

    def heal(self):
        for node in self.names:
            self._nft(node, "flush set inet cut deaf\nflush set inet cut mute\n")

    def _nft(self, node, rules):
        command = [*self.within(node), "nft", "-f", "-"]
        subprocess.run(command, input=rules.encode(), check=True, capture_output=True)
