"""Starts mien serve and talks to it with sockets; Python's standard library only."""
import http.client, json, os, re, signal, socket, struct, subprocess, sys, time, zlib

build = os.environ.get("MIEN_BUILD", "build/release")
mien = os.path.abspath(f"{build}/mien")
failed = 0


def check(name, ok, *lines):
    global failed
    print(("ok " if ok else "not ok ") + name)
    if not ok:
        failed = 1
        for line in lines: print(f"# {line}")
    sys.stdout.flush()
    return ok


def skip(name, why): print(f"ok {name} # SKIP {why}", flush=True)


def png(width, height, level=9):
    """A gray picture of noise."""
    rows = b"".join(b"\0" + os.urandom(width) for _ in range(height))
    return png_of(width, height, zlib.compress(rows, level))


def png_of(width, height, data):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def post(body):
    return (b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)) + body


class Server:
    def __init__(self, *args, log=None, env=None, wait=True):
        self.log = log or "serve.log"
        self.file = open(self.log, "wb")
        self.process = subprocess.Popen([mien, "serve", "--port", "0", *args], stderr=self.file,
                                        stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **(env or {})})
        self.pid, self.port = self.process.pid, 0
        if wait: self.wait()

    def wait(self):
        end = time.time() + 60
        while time.time() < end and self.process.poll() is None:
            found = re.search(r"serving on (https?)://[^ ]*:(\d+)/", self.text())
            if found:
                self.port = int(found.group(2))
                return
            time.sleep(0.05)
        raise RuntimeError(f"the server does not start: {self.text()}")

    def text(self):
        with open(self.log, errors="replace") as f: return f.read()

    def decoders(self):
        out = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(self.pid)], capture_output=True, text=True).stdout
        return [int(line.split()[0]) for line in out.splitlines() if "mien-decode" in line]

    def memory(self):
        """Resident KiB of the server and its decoders, shared memory once."""
        total = 0
        for pid in [self.pid, *self.decoders()]:
            try:
                with open(f"/proc/{pid}/status") as f:
                    total += sum(int(line.split()[1]) for line in f if line.startswith("RssAnon"))
            except OSError:
                pass
        return total

    def cpu_seconds(self):
        """Of the server and its decoders, also those that have ended."""
        total = 0
        for pid in [self.pid, *self.decoders()]:
            try:
                with open(f"/proc/{pid}/stat") as f: fields = f.read().rsplit(")", 1)[1].split()
                total += sum(int(field) for field in fields[11:15 if pid == self.pid else 13])
            except OSError:
                pass
        return total / os.sysconf("SC_CLK_TCK")

    def descriptors(self): return len(os.listdir(f"/proc/{self.pid}/fd"))

    def alive(self): return self.process.poll() is None

    def stop(self, number=signal.SIGTERM, seconds=30):
        if self.alive(): self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "it did not stop"

    def ask(self, method="GET", path="/", body=None, headers=None, timeout=60):
        """(status, headers, body) of one request on a connection of its own."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body=body, headers=headers or {})
            answer = c.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            c.close()

    def predict(self, body, kind="image/png", **headers):
        return self.ask("POST", "/v1/predict", body, {"Content-Type": kind, **headers})

    def raw(self, data, timeout=20):
        """What comes back for these bytes, until the end of the connection."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        try:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            got = b""
            try:
                while chunk := s.recv(65536): got += chunk
            except OSError:
                pass
            return got
        finally:
            s.close()

    def metric(self, name):
        text = self.ask(path="/metrics")[2].decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        return float(found.group(1)) if found else 0


def status_of(answer):
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found.group(1)) if found else 0


def error_of(answer): return json.loads(answer)["error"]["code"]
