#!/usr/bin/env python3
"""Measures mien serve, in turns with what it is compared with; prints a table and, with --json, writes it.

  bench/serve.py                                   # Mien alone: HTTP against the same work in process
  bench/serve.py --peers VENV/bin/python           # and FastAPI servers with the same network in TensorFlow
                                                   # (bench/peers/requirements-serve.txt)

Photos: p50 and p99 of a 640x480 JPEG over HTTP against the same work (decode, detect, network) by
`mien predict` in a process that is already warm. Crops: 48x48 PNG, keep-alive, by a load generator on the same CPUs, against `mien bench infer --batch 64`. Each is measured
--rounds times in turns; ratios are those of a round.
"""
import argparse, asyncio, json, os, re, signal, socket, statistics, struct, subprocess, sys, tempfile, time, zlib
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def png(width, height):
    rows = b"".join(b"\0" + os.urandom(width) for _ in range(height))
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process that is stopped (SIGSTOP) while others are measured."""

    def __init__(self, name, command, port, env=None):
        self.name, self.port, self.start = name, port, (command, port, env)
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        env={**os.environ, **(env or {})}, start_new_session=True)
        end = time.time() + 180
        while time.time() < end:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if self.process.poll() is not None: sys.exit(f"{name} does not start: {' '.join(command)}")
                time.sleep(0.2)
        self.sleep()

    def members(self):
        """The process and its children, decoders in a group of their own among them."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
            todo += [int(word) for word in out.split()]
        return found

    def signal(self, number):
        for pid in self.members():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def sleep(self): self.signal(signal.SIGSTOP)

    def wake(self): self.signal(signal.SIGCONT)

    def memory(self):
        """Proportional resident MiB of all its processes."""
        total = 0
        for pid in self.members():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
            except (OSError, AttributeError):
                pass
        return total / 1024

    def close(self):
        self.wake()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()


async def ask(reader, writer, data):
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
    await reader.readexactly(size)
    return head.split(b" ", 2)[1] == b"200"


async def load(port, data, clients, seconds):
    """(answers a second, [seconds of each])"""
    times, end, bad = [], time.perf_counter() + seconds, 0

    async def one():
        nonlocal bad
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            begin = time.perf_counter()
            ok = await ask(reader, writer, data)
            if ok: times.append(time.perf_counter() - begin)
            else: bad += 1
        writer.close()
    begin = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    if bad: print(f"# {bad} requests were not answered with 200", file=sys.stderr)
    return len(times) / (time.perf_counter() - begin), sorted(times)


def post(body, kind):
    return (f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def wrk(port, body, kind, clients, seconds):
    """The load generator in C, if Debian's wrk is installed: it leaves more of the CPUs to the server."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script, tempfile.NamedTemporaryFile("wb") as data:
        data.write(body)
        data.flush()
        script.write(f'local f = io.open("{data.name}", "rb"); wrk.body = f:read("*all"); f:close()\n'
                     f'wrk.method = "POST"; wrk.headers["Content-Type"] = "{kind}"\n')
        script.flush()
        out = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", script.name, f"http://127.0.0.1:{port}/v1/predict"],
                             capture_output=True, text=True).stdout
    if "Non-2xx" in out: print("# " + out, file=sys.stderr)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def throughput(server, body, kind, clients, seconds, generator):
    server.wake()
    try:
        if generator == "wrk": return wrk(server.port, body, kind, clients, seconds)
        return asyncio.run(load(server.port, post(body, kind), clients, seconds))[0]
    finally:
        server.sleep()


def latency(server, body, kind, seconds):
    server.wake()
    try:
        asyncio.run(load(server.port, post(body, kind), 1, 1))
        return asyncio.run(load(server.port, post(body, kind), 1, seconds))[1]
    finally:
        server.sleep()


def in_process(mien, photo, count):
    """Seconds of decode + detect + network of one photo in a warm process: what each further copy of the photo
    adds to a `mien predict`."""
    def run(copies):
        begin = time.perf_counter()
        subprocess.run([mien, "predict", "-q", "--json", *[photo] * copies], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin
    few, many = run(2), run(2 + count)
    return (many - few) / count


def bench_infer(mien, model, seconds):
    out = subprocess.run([mien, "bench", "infer", *([model] if model else []), "--batch", "64", "--seconds", str(seconds), "--json"],
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out)["images_per_second"]


def quantile(values, q): return values[min(len(values) - 1, int(q * len(values)))]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mien", default=str(ROOT / "build/mien"))
    p.add_argument("--model", default=str(ROOT / "models/fer2013-small.h5"))
    p.add_argument("--photo", help="a 640x480 JPEG (default: one is made with ffmpeg from the sample photo)")
    p.add_argument("--peers", help="python with bench/peers/requirements-serve.txt")
    p.add_argument("--clients", type=int, default=48)
    p.add_argument("--seconds", type=int, default=5)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--json")
    a = p.parse_args()
    generator = "wrk" if subprocess.run(["which", "wrk"], capture_output=True).returncode == 0 else "asyncio"
    work = tempfile.TemporaryDirectory()
    if not a.photo:
        a.photo = f"{work.name}/photo.jpg"
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(ROOT / "datasets/photos/astronaut.png"), "-vf",
                        "scale=480:480,pad=640:480:80:0", "-q:v", "3", a.photo], check=True)
    photo, crop = Path(a.photo).read_bytes(), png(48, 48)
    port = [free_port() for _ in range(5)]
    mien = [a.mien, "serve", "-q", "--model", a.model]
    servers = {"mien": Server("mien", [*mien, "--port", str(port[0]), "--detector", "none"], port[0])}
    photos = Server("mien, photos", [*mien, "--port", str(port[1])], port[1])
    if a.peers:
        app = str(HERE / "peers/serve_fastapi.py")
        for name, mode, workers, at in (("fastapi tf.function 1", "function", 1, 2), ("fastapi tf.function 2", "function", 2, 3),
                                        ("fastapi model.predict", "predict", 1, 4)):
            servers[name] = Server(name, [a.peers, app, "--model", a.model, "--mode", mode, "--workers", str(workers),
                                          "--port", str(port[at])], port[at], {"TF_CPP_MIN_LOG_LEVEL": "3"})
    rows = {name: [] for name in servers}
    rows["bench infer --batch 64"], rows["photo p50"], rows["photo p99"], rows["photo in process"] = [], [], [], []
    try:
        for r in range(a.rounds):
            order = list(servers.items())
            for name, server in order if r % 2 == 0 else order[::-1]:
                # the slow one answers so late that the generator would give up
                clients = 8 if name == "fastapi model.predict" else a.clients
                rows[name].append(throughput(server, crop, "image/png", clients, a.seconds, generator))
            rows["bench infer --batch 64"].append(bench_infer(a.mien, a.model, a.seconds))
            times = latency(photos, photo, "image/jpeg", a.seconds)
            rows["photo p50"].append(1e3 * quantile(times, 0.5))
            rows["photo p99"].append(1e3 * quantile(times, 0.99))
            rows["photo in process"].append(1e3 * in_process(a.mien, a.photo, 20))
    finally:
        for server in [*servers.values(), photos]: server.close()
    # each alone: servers of one kind share their libraries, which PSS would divide between them
    memory = {}
    for name, (command, at, env) in {n: s.start for n, s in servers.items()}.items():
        alone = Server(name, command, at, env)
        throughput(alone, crop, "image/png", 8, a.seconds, generator)
        memory[name] = alone.memory()
        alone.close()
    print(f"load generator {generator}, {a.clients} clients, {a.rounds} rounds of {a.seconds} s; median (minimum to maximum)")
    for name, values in rows.items():
        unit = "ms" if name.startswith("photo") else "images/s"
        note = f"  {memory[name]:.0f} MiB" if name in memory else ""
        print(f"  {name:26s} {statistics.median(values):9.1f} {unit:8s} ({min(values):.1f} to {max(values):.1f}){note}")
    ratio = lambda x, y: statistics.median(i / max(j, 1e-9) for i, j in zip(rows[x], rows[y]))
    ratios = {"crops over HTTP / bench infer (goal: 0.6)": ratio("mien", "bench infer --batch 64"),
              "photo p50 / in process (goal: at most 1.15)": ratio("photo p50", "photo in process"),
              "photo p99 / in process (goal: at most 2)": ratio("photo p99", "photo in process")}
    if a.peers:
        best = statistics.median(m / max(x, y) for m, x, y in zip(rows["mien"], rows["fastapi tf.function 1"], rows["fastapi tf.function 2"]))
        ratios["mien / FastAPI with tf.function (goal: 3)"] = best
        ratios["mien / FastAPI with model.predict (goal: 10)"] = ratio("mien", "fastapi model.predict")
        ratios["memory of FastAPI / mien (goal: 5)"] = memory["fastapi tf.function 1"] / memory["mien"]
    for name, value in ratios.items(): print(f"  {name:50s} {value:.2f}")
    if a.json: Path(a.json).write_text(json.dumps({**machine.head(), "rows": rows, "memory_mib": memory, "ratios": ratios, "generator": generator}, indent=1))


main()
