"""Spark's standalone masters, which elect their leader and keep their workers in
ZooKeeper: the leading one is killed, the other takes over with its workers,
and an application runs before and after."""

import json
import os
import re
import subprocess
import time
import urllib.request

import install
from kit import Counts, Failed, Process, free_base_port, wait_for

QUICK = False
# Spark's own session timeout is 60 s, unless the JVM is told otherwise; the
# second master then waits for its workers to come back.
TAKE_OVER_SECONDS = 150
# Executors are JVMs of their own, some 40 s to their first task on a busy box.
APPLICATION_SECONDS = 400
WORKERS = 2
APPLICATION = """\
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("count").getOrCreate()
print("counted", spark.sparkContext.parallelize(range(1000), 4).map(lambda x: x * x).sum())
spark.stop()
"""


def prepare():
    install.java()
    install.spark_jars()


def run(target, folder, _is_quick):
    counts, spark = Counts(), Spark(target, folder)
    try:
        spark.start()
        counts.check(spark.status(spark.leader)["status"] == "ALIVE", "no master leads")
        standby = spark.other(spark.leader)
        says = spark.status(standby)["status"]
        counts.check(says == "STANDBY", f"the second master is {says}")
        counts.check(*spark.counts())
        spark.leader.process.kill()
        killed = time.monotonic()
        wait_for("the other master leads", lambda: spark.leads(standby), TAKE_OVER_SECONDS)
        wait_for(
            "the workers are back",
            lambda: spark.alive_workers(standby) == WORKERS,
            TAKE_OVER_SECONDS,
        )
        counts.check(True, "")
        print(f"           the other master led with its workers after {time.monotonic() - killed:.0f} s")
        counts.check(*spark.counts())
        # The killed one comes back and waits its turn.
        again = spark.leader
        again.start()
        wait_for("it answers", lambda: spark.status(again))
        wait_for("it stands by", lambda: spark.status(again)["status"] == "STANDBY", 60)
        counts.check(spark.leads(standby), "the leader changed when a master came back")
    finally:
        spark.stop()
    return counts


class Daemon:
    def __init__(self, folder, name, arguments, environment):
        self.folder, self.name = folder, name
        self.arguments, self.environment = arguments, environment
        self.process = None

    def start(self):
        command = ["java", "-Xmx512m", *JAVA_OPTIONS, "-cp", f"{install.spark_jars()}/*"]
        self.process = Process(
            command + self.arguments, self.folder / self.name, self.environment, self.folder
        )


# What bin/spark-class would add for Java 17.
JAVA_OPTIONS = [
    f"--add-opens=java.base/{name}=ALL-UNNAMED"
    for name in (
        "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio",
        "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch",
        "sun.nio.cs", "sun.security.action", "sun.util.calendar",
    )
] + ["-Djdk.reflect.useDirectMethodHandle=false"]


class Spark:
    def __init__(self, target, folder):
        self.folder, base = folder, free_base_port()
        recovery = {
            "spark.deploy.recoveryMode": "ZOOKEEPER",
            "spark.deploy.zookeeper.url": target.hosts,
            "spark.deploy.zookeeper.dir": "/spark",
        }
        options = " ".join(f"-D{key}={value}" for key, value in recovery.items())
        self.environment = {
            "SPARK_HOME": str(install.spark_home()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            # Else the launcher looks for the folders of a build.
            "SPARK_SCALA_VERSION": "2.13",
            "PYSPARK_PYTHON": str(install.python()),
        }
        self.masters = [self._master(base + 10 * i, i, options) for i in (1, 2)]
        self.url = "spark://" + ",".join(f"127.0.0.1:{master.port}" for master in self.masters)
        self.workers = [self._worker(base + 100 + 10 * i, i) for i in range(WORKERS)]
        self.leader = None

    def _master(self, port, i, options):
        arguments = [*options.split(), "org.apache.spark.deploy.master.Master"]
        arguments += ["--host", "127.0.0.1", "--port", port, "--webui-port", port + 1]
        master = Daemon(self.folder, f"master{i}", arguments, self.environment)
        master.port = port
        return master

    def _worker(self, port, i):
        arguments = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1"]
        arguments += ["--port", port, "--webui-port", port + 1, "--cores", 1, "--memory", "512m"]
        arguments += ["--work-dir", self.folder / f"work{i}", self.url]
        return Daemon(self.folder, f"worker{i}", arguments, self.environment)

    def start(self):
        for master in self.masters:
            master.start()
        self.leader = wait_for("a master leads", self._who_leads)
        wait_for("both masters answer", lambda: all(map(self.status, self.masters)))
        for worker in self.workers:
            worker.start()
        wait_for(
            "the workers are registered", lambda: self.alive_workers(self.leader) == len(self.workers)
        )

    def _who_leads(self):
        for master in self.masters:
            if not master.process.running():
                raise Failed(f"{master.name} ended: {master.process.tail()}")
        return next(filter(self.leads, self.masters), None)

    def other(self, master):
        return next(one for one in self.masters if one is not master)

    def status(self, master):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{master.port + 1}/json/", timeout=5) as page:
                return json.load(page)
        except (OSError, ValueError):
            return None

    def leads(self, master):
        return (self.status(master) or {}).get("status") == "ALIVE"

    def alive_workers(self, master):
        workers = (self.status(master) or {}).get("workers", [])
        return sum(worker["state"] == "ALIVE" for worker in workers)

    def counts(self):
        """Runs a small application on whichever master leads."""
        program = self.folder / "count.py"
        program.write_text(APPLICATION)
        try:
            done = subprocess.run(
                [install.spark_home() / "bin" / "spark-submit", "--master", self.url,
                 "--conf", "spark.driver.host=127.0.0.1", "--executor-memory", "512m", program],
                env={**os.environ, **self.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=APPLICATION_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return False, f"the application has no end after {APPLICATION_SECONDS} s"
        with open(self.folder / "applications", "a") as said:
            said.write(done.stdout)
        fits = done.returncode == 0 and re.search(r"^counted 332833500$", done.stdout, re.MULTILINE)
        errors = [line for line in done.stdout.splitlines() if "Exception" in line or "rror:" in line]
        return fits, f"the application failed: {' | '.join(errors[:4])[:600]}"

    def stop(self):
        for daemon in [*self.workers, *self.masters]:
            if daemon.process is not None:
                daemon.process.end()
