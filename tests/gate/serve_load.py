"""mien serve under load: overload, malformed requests beside good ones, slow clients, SIGTERM.
    serve_load.py [SECONDS_OF_OVERLOAD MALFORMED SLOW]"""
import asyncio, os, random, shutil, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serve_lib
from serve_lib import Server, check, png, status_of

seconds, malformed, slow = (int(a) for a in (sys.argv[1:4] or (20, 10000, 100)))
root = os.getcwd()
asan = "address" in serve_lib.build
os.chdir(work := tempfile.mkdtemp())
face = png(48, 48)
with open(os.path.join(root, "tests/cli/portrait.jpg"), "rb") as f: photo = f.read()


def post(body): return (b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)) + body


def quantile(values, q): return sorted(values)[min(len(values) - 1, int(q * len(values)))] if values else 0.0


async def answer(reader):
    """Status and body of one response of a kept connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return status_of(head), await reader.readexactly(size), head


class Client:
    """Asks again and again on one connection, which is opened again if it ends."""

    def __init__(self, server): self.server, self.writer = server, None

    async def ask(self, data, timeout=60):
        if not self.writer or self.writer.is_closing():
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        begin = time.perf_counter()
        self.writer.write(data)
        try:
            status, body, head = await asyncio.wait_for(answer(self.reader), timeout)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.TimeoutError):
            self.close()
            return 0, time.perf_counter() - begin
        if b"connection: close" in head.lower(): self.close()
        return status, time.perf_counter() - begin

    def close(self):
        if self.writer: self.writer.close()
        self.writer = None


async def closed_loop(server, clients, length, data):
    """Good answers a second of clients that wait for each answer."""
    end, good = time.perf_counter() + length, 0

    async def one():
        nonlocal good
        client = Client(server)
        while time.perf_counter() < end:
            status, _ = await client.ask(data)
            good += status == 200
        client.close()
    await asyncio.gather(*(one() for _ in range(clients)))
    return good / length


async def constant_rate(server, rate, length, data):
    """(status, seconds) of requests that are sent whether others are answered or not."""
    idle, results, tasks = [], [], set()

    async def one():
        client = idle.pop() if idle else Client(server)
        results.append(await client.ask(data))
        idle.append(client)
    start = time.perf_counter()
    for i in range(int(rate * length)):
        await asyncio.sleep(max(0, start + i / rate - time.perf_counter()))
        task = asyncio.ensure_future(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    sent = time.perf_counter() - start
    await asyncio.gather(*tasks)
    for client in idle: client.close()
    return results, sent


async def overload():
    server = Server("--max-queue", "16", "--min-face", "40")
    data = post(photo)
    await closed_loop(server, 12, 2, data)
    peak = max([await closed_loop(server, 12, 4, data) for _ in range(2)])
    results, sent = await constant_rate(server, 5 * peak, seconds, data)
    good = sum(1 for s, _ in results if s == 200)
    rejects = [t for s, t in results if s == 503]
    others = sorted({s for s, _ in results} - {200, 503})
    after = await closed_loop(server, 12, 4, data)
    said = f"peak {peak:.1f}/s, goodput {good / sent:.1f}/s, {len(rejects)} rejected, p99 {1e3 * quantile(rejects, .99):.1f} ms, afterwards {after:.1f}/s"
    print("# overload:", said)
    check("overload: at least 90 % of the peak is answered", good / sent >= 0.9 * min(peak, after), said)
    check("overload: rejects take less than 50 ms", len(rejects) > 10 and quantile(rejects, .99) < (0.5 if asan else 0.05), said)
    check("overload: nothing else happens", not others, others)
    check("overload: it ends with 0", server.stop() == 0)


def broken(rng):
    """A request that is wrong in one way or in many."""
    good = rng.choice([post(face), post(face), b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
                       b"GET /v1/model HTTP/1.1\r\nHost: localhost\r\n\r\n"])
    kind = rng.randrange(9)
    if kind == 0: return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 400)))
    if kind == 1: return good[:rng.randrange(len(good))]
    data = bytearray(good)
    if kind in (2, 3):
        for _ in range(rng.randrange(1, 20)): data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
        return bytes(data)
    if kind == 4: return good.replace(b"\r\n", rng.choice([b"\n", b"\r", b"\r\n ", b"\0\r\n"]), rng.randrange(1, 4))
    if kind == 5: return good.replace(b"HTTP/1.1", rng.choice([b"HTTP/9.9", b"HTTP/1.1 x", b"", b"JUNK", b"HTTP/0.9"]), 1)
    if kind == 6: return good.replace(b"Content-Length: ", rng.choice([b"Content-Length: -", b"Content-Length: 9", b"Transfer-Encoding: chunked\r\nX: ", b"Content-Length : "]), 1)
    if kind == 7: return good.replace(b"Host: localhost", rng.choice([b"Host: " + b"a" * rng.randrange(3000), b"Host:", b"X: y", b"Host: a\r\nHost: b", b"Host: \xff\xfe", b"Host: [::1"]), 1)
    return b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: image/png\r\n\r\n" + rng.choice([b"zz\r\n", b"ffffffffffffffff\r\nabc", b"5\r\nabc", b"-1\r\n", b"3;" + b"x" * 5000 + b"\r\nabc\r\n0\r\n\r\n"])


async def send_broken(server, rng, counts):
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(broken(rng))
        if writer.can_write_eof(): writer.write_eof()
        status = status_of(await asyncio.wait_for(reader.read(4096), 20))
        counts[status] = counts.get(status, 0) + 1
        writer.close()
    except asyncio.TimeoutError:
        counts["late"] = counts.get("late", 0) + 1
    except (ConnectionError, OSError):
        counts[0] = counts.get(0, 0) + 1


async def good_ones(server, stop, times, statuses):
    client = Client(server)
    while not stop.is_set():
        status, took = await client.ask(post(face))
        statuses.append(status)
        times.append(took)
        await asyncio.sleep(max(0, 0.05 - took))
    client.close()


async def beside(server, work):
    """Times of 20 good requests a second while `work` is done."""
    stop, times, statuses = asyncio.Event(), [], []
    good = asyncio.ensure_future(good_ones(server, stop, times, statuses))
    await work
    stop.set()
    await good
    return times, statuses


async def attack():
    server = Server("--detector", "none")
    quiet, _ = await beside(server, asyncio.sleep(4))
    await asyncio.gather(*(send_broken(server, random.Random(i), {}) for i in range(300)))
    before, counts = server.memory(), {}

    async def senders(first):
        for i in range(first, malformed, 32):
            await send_broken(server, random.Random(1000 + i), counts)
            if i % 256 == first: await asyncio.sleep(0.02)  # this process shares the CPUs with the server
    begin = time.time()
    times, statuses = await beside(server, asyncio.gather(*(senders(k) for k in range(32))))
    rate = malformed / (time.time() - begin)
    growth = (server.memory() - before) / 1024
    said = f"{rate:.0f} a second, {counts}; good p99 {1e3 * quantile(times, .99):.1f} ms, quiet {1e3 * quantile(quiet, .99):.1f} ms; {growth:.1f} MiB more"
    print("# malformed:", said)
    fine = {0, 200, 400, 401, 403, 404, 405, 411, 413, 414, 415, 417, 421, 422, 431, 501, 505}
    check("malformed requests: each gets a status of its kind, or none", set(counts) <= fine, said)
    check("malformed requests: the server lives", server.alive() and "ERROR: AddressSanitizer" not in server.text(), server.text()[-2000:])
    check("malformed requests: good ones are answered", set(statuses) == {200}, set(statuses))
    check("malformed requests: p99 of good ones at most twice the quiet one (or 60 ms)",
          quantile(times, .99) <= max(2 * quantile(quiet, .99), 0.3 if asan else 0.06), said)
    check("malformed requests: less than 32 MiB of memory", growth < (200 if asan else 32), said)
    await slow_clients(server, quiet)
    check("attacks: it ends with 0", server.stop() == 0, server.text()[-2000:])


async def slow_clients(server, quiet):
    """Half of them dribble a head, half a body."""
    lasted = []

    async def one(i):
        begin = time.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        data = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200
        if i % 2: data = post(face)
        position = len(data) - 300 if i % 2 else 0
        writer.write(data[:max(position, 5)])
        while time.time() - begin < 50:
            try:
                if await asyncio.wait_for(reader.read(1000), 1) == b"": break
            except asyncio.TimeoutError:
                position += 1
                writer.write(data[position:position + 1] or b"y")
            except ConnectionError:
                break
        lasted.append((i % 2, time.time() - begin))
        writer.close()
    times, statuses = await beside(server, asyncio.gather(*(one(i) for i in range(slow))))
    heads, bodies = ([t for k, t in lasted if k == kind] for kind in (0, 1))
    said = f"heads {max(heads):.1f} s, bodies {max(bodies):.1f} s; good p99 {1e3 * quantile(times, .99):.1f} ms, quiet {1e3 * quantile(quiet, .99):.1f} ms"
    print("# slow clients:", said)
    check("slow clients: heads are cut after 10 s, bodies after 30 s", max(heads) < 13 and max(bodies) < 33, said)
    check("slow clients: good ones are answered, p99 at most twice the quiet one (or 60 ms)", set(statuses) == {200} and
          quantile(times, .99) <= max(2 * quantile(quiet, .99), 0.3 if asan else 0.06), said)
    check("slow clients: none is left", server.metric("mien_http_connections") <= 2)


async def drain(round_):
    server = Server("--detector", "none") if round_ % 2 else Server("--min-face", "60")
    data, stopped, lost = post(face if round_ % 2 else photo), [], []

    async def one():
        client = Client(server)
        while True:
            try:
                sent = time.perf_counter()
                status, _ = await client.ask(data)
            except OSError:
                return  # the port is closed
            if status != 200 and (not stopped or sent < stopped[0]): lost.append(status)
            if stopped and status != 200: return
    clients = [asyncio.ensure_future(one()) for _ in range(16)]
    await asyncio.sleep(1.5)
    stopped.append(time.perf_counter())
    server.process.terminate()
    await asyncio.wait_for(asyncio.gather(*clients), 40)
    status = await asyncio.to_thread(server.process.wait, 30)
    check(f"SIGTERM {round_}: no request is lost, and it ends with 0", not lost and status == 0, lost, status, server.text()[-500:])


async def main():
    await overload()
    await attack()
    for i in range(1, 5): await drain(i)


asyncio.run(main())
os.chdir(root)
shutil.rmtree(work)
sys.exit(serve_lib.failed)
