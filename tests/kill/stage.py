"""The processes of a test: a Kafka of their own, one bucket, and the three programs, each of which can
be killed and started again. Everything lives in one temporary folder and ends with the test."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build"))
BIN = BUILD / "bin"

# A killed member of a group is missed after two seconds, not ten.
PROPERTIES = "session.timeout.ms=2000\nheartbeat.interval.ms=400\n"


class Failed(Exception):
    """A promise was broken, or something didn't happen in time."""


def check(holds, what):
    if not holds:
        raise Failed(what)


def await_that(what, question, seconds=60, step=0.1):
    """Asks until the answer is true; returns it."""
    until = time.monotonic() + seconds
    while not (answer := question()):
        check(time.monotonic() < until, f"after {seconds} s: still not {what}")
        time.sleep(step)
    return answer


class Kafka:
    """`proxied`: clients are sent through a Proxy, which can cut their connections."""

    def __init__(self, home, nodes=1, proxied=False):
        self.home, self.nodes = home, nodes
        self.proxy = None
        if not proxied:
            self.brokers = self.script("start", "--nodes", nodes)
            return
        port = free_port()
        address = self.script("start", "--advertise", port)
        self.proxy = Proxy(port, int(address.rsplit(":", 1)[1]))
        self.brokers = f"127.0.0.1:{port}"

    def script(self, verb, *arguments):
        command = [ROOT / "scripts/kafka", verb, "--home", self.home, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"scripts/kafka {verb}: {done.stderr}")
        return done.stdout.strip()

    def kill(self, node=1):
        self.script("stop", "--node", node, "--kill")

    def stop(self, node=1):
        self.script("stop", "--node", node)

    def start(self, node=1):
        self.script("start", "--node", node)

    def topics(self, *arguments):
        self.script("topics", "--", *arguments)

    def end(self, wipe):
        if self.proxy:
            self.proxy.close()
        self.script("stop", "--wipe" if wipe else "--kill")


class Proxy:
    """Passes bytes between clients and the broker; cut() loses the answers of a moment, then the
    connections: what was asked happened, and nobody was told."""

    def __init__(self, port, target):
        self.target = target
        self.is_deaf = False  # answers are thrown away
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            pair = (client, broker)
            self.pairs.add(pair)
            for source, sink, answers in ((client, broker, False), (broker, client, True)):
                threading.Thread(target=self.pump, args=(source, sink, answers, pair),
                                 daemon=True).start()

    def pump(self, source, sink, answers, pair):
        try:
            while data := source.recv(65536):
                if not (answers and self.is_deaf):
                    sink.sendall(data)
        except OSError:
            pass
        self.drop(pair)

    def drop(self, pair):
        self.pairs.discard(pair)
        for end in pair:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def cut(self, seconds):
        self.is_deaf = True
        time.sleep(seconds)
        for pair in list(self.pairs):
            self.drop(pair)
        self.is_deaf = False

    def close(self):
        self.listener.close()


class Program:
    """One of the three, with its settings; killed and started as the test likes."""

    def __init__(self, stage, kind, name, *arguments):
        self.stage, self.kind, self.name = stage, kind, name
        self.port = free_port()
        self.arguments = list(map(str, arguments))
        self.process = None
        self.log = stage.folder / f"{name}.log"
        self.starts = 0

    def command(self):
        return [BIN / self.kind, *self.arguments, "--brokers", self.stage.kafka.brokers, "--bucket",
                self.stage.bucket, "--listen", f"127.0.0.1:{self.port}", "--kafka-config",
                self.stage.properties]

    def start(self):
        assert not self.is_running()
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts}\n".encode())
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        self.starts += 1
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL; a process that had ended by itself before is a failure."""
        check(self.is_running(), f"{self.name} ended by itself: {self.end()}\n{self.tail()}")
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=30):
        """SIGTERM; the exit status."""
        if self.is_running():
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed(f"{self.name} still runs {seconds} s after SIGTERM\n{self.tail()}")
        return self.process.returncode if self.process else 0

    def end(self):
        return None if self.process is None else self.process.poll()

    def tail(self, lines=12):
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    | {line}" for line in text[-lines:])

    def ask(self, method, path, body=None, key=None, timeout=30):
        """(status, JSON or text); OSError when it isn't there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def is_ready(self):
        check(self.is_running(), f"{self.name} ended by itself: {self.end()}\n{self.tail()}")
        try:
            return self.ask("GET", "/readyz", timeout=5)[0] == 200
        except OSError:
            return False

    def await_ready(self, seconds=60):
        await_that(f"ready: {self.name}", self.is_ready, seconds)
        return self


class Stage:
    """A folder, a Kafka, a bucket with a catalog, and keys."""

    def __init__(self, folder, bucket, partitions, nodes=1, catalog=None, proxied=False):
        self.folder, self.bucket, self.partitions = folder, bucket, partitions
        self.properties = folder / "kafka.properties"
        self.properties.write_text(PROPERTIES)
        self.kafka = Kafka(folder / "kafka", nodes, proxied)
        self.programs = []
        self.invoicer_data = folder / "invoicer"
        try:
            self.create_bucket(catalog)
        except BaseException:  # nobody has the stage yet, to close it
            self.close(wipe=False)
            raise

    def create_bucket(self, catalog):
        self.create_topics()
        if catalog:
            file = self.folder / "catalog.json"
            file.write_text(json.dumps(catalog))
            self.run("invoicer", "catalog", "apply", file, "--data", self.invoicer_data)
        self.ingest_key = self.create_key("ingest")
        self.admin_key = self.create_key("admin")

    def create_topics(self):
        """Those that are missing."""
        self.run("invoicer", "topics", "create", "--partitions", self.partitions, "--replication",
                 self.kafka.nodes, "--data", self.invoicer_data)

    def create_key(self, role):
        out = self.run("invoicer", "keys", "create", "--role", role, "--data", self.invoicer_data)
        return next(word for word in out.split() if word.startswith("mk_"))

    def run(self, kind, *arguments, status=0):
        """A command of a program to its end; its output."""
        command = [BIN / kind, *map(str, arguments), "--brokers", self.kafka.brokers, "--bucket",
                   self.bucket, "--kafka-config", self.properties]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        with (self.folder / "commands.log").open("a") as log:
            print(*command, "\n", done.stdout, done.stderr, file=log)
        check(done.returncode == status, f"{kind} {' '.join(map(str, arguments))}: exit "
              f"{done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout

    def program(self, kind, name=None, *arguments):
        program = Program(self, kind, name or kind, *arguments)
        self.programs.append(program)
        return program

    def topic(self, name):
        return f"{self.bucket}.{name}"

    def read(self, topic, how="get"):
        """Every record of a topic (how="usage": every event in it), as topic-tool prints them."""
        done = subprocess.run([BIN / "topic-tool", how, self.kafka.brokers, self.topic(topic)],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"topic-tool {how} {topic}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def write(self, topic, lines):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        done = subprocess.run([BIN / "topic-tool", "put", self.kafka.brokers, self.topic(topic)],
                              input=text, capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"topic-tool put {topic}: {done.stderr}")

    def close(self, wipe):
        for program in self.programs:
            if program.is_running():
                program.process.kill()
                program.process.wait()
        self.kafka.end(wipe)


def end_on_signals():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
