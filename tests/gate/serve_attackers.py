"""Clients that mean no good, in a process of their own, so that what they cost is not measured as the server's time:
    serve_attackers.py PORT malformed FIRST COUNT RATE | slow COUNT SECONDS
RATE: requests a second, 0: as many as 32 connections at a time can send.
It says "ready", begins at a line on its standard input, and prints what it saw as JSON."""
import asyncio, json, os, random, resource, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from serve_lib import png, post, status_of

AT_ONCE = 32
port, face = int(sys.argv[1]), png(48, 48)


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


async def send_broken(rng):
    """The status of the answer, 0 if the connection ends without one."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(broken(rng))
        if writer.can_write_eof(): writer.write_eof()
        status = status_of(await asyncio.wait_for(reader.read(4096), 20))
        writer.close()
        return status
    except asyncio.TimeoutError:
        return "late"
    except OSError:
        return 0


async def malformed(first, count, rate):
    counts, begin = {}, time.perf_counter()

    async def sender(k):
        for i in range(first + k, first + count, AT_ONCE):
            if rate: await asyncio.sleep(max(0, begin + (i - first) / rate - time.perf_counter()))
            status = await send_broken(random.Random(1000 + i))
            counts[status] = counts.get(status, 0) + 1
    await asyncio.gather(*(sender(k) for k in range(AT_ONCE)))
    return counts


async def slow(count, seconds):
    """Half of them dribble a head, half a body. Of each kind, after how long the last one was cut off (0: none)."""
    begin, lasted = time.time(), {"heads": 0, "bodies": 0, "left": 0}

    async def one(i):
        start = time.time()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        data = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200
        if i % 2: data = post(face)
        position = len(data) - 300 if i % 2 else 0
        writer.write(data[:max(position, 5)])
        cut = False
        while not cut and time.time() - begin < seconds:
            try:
                cut = await asyncio.wait_for(reader.read(1000), 1) == b""
            except asyncio.TimeoutError:
                position += 1
                writer.write(data[position:position + 1] or b"y")
            except ConnectionError:
                cut = True
        kind = ("heads", "bodies")[i % 2] if cut else "left"
        lasted[kind] = max(lasted[kind], time.time() - start)
        writer.close()
    await asyncio.gather(*(one(i) for i in range(count)))
    return lasted


most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
print("ready", flush=True)
sys.stdin.readline()
work = {"malformed": malformed, "slow": slow}[sys.argv[2]]
print(json.dumps(asyncio.run(work(*(int(a) for a in sys.argv[3:])))), flush=True)
