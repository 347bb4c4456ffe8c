"""mien serve and what goes wrong: bad requests, dead decoders, full disks, a model that is replaced."""
import json, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serve_lib
from serve_lib import Server, check, error_of, mien, png, png_of, skip, status_of

root = os.getcwd()
os.chdir(work := tempfile.mkdtemp())
asan = "address" in serve_lib.build
face = png(48, 48)
model = os.path.join(root, "models/fer2013-small.h5")
server = Server("--detector", "none", "--model", model)

# ---- requests that are refused ----
head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
cases = [
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("a foreign Host", b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    ("a foreign Origin", head + b"Origin: http://evil.example\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\nabc", 403),
    ("two lengths", head + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("length and coding", head + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("an unknown coding", head + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    ("no length", head + b"Content-Type: image/png\r\n\r\n", 411),
    ("a negative length", head + b"Content-Length: -5\r\n\r\n", 400),
    ("a path that climbs", b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("an encoded path", b"GET /%2e%2e/etc HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("a long address", b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    ("a very long address", b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    ("200 header fields", b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
    ("16,384 header fields", b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 16384 + b"\r\n", 431),
    ("a proxy's request", b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("an unknown method", b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("an unknown address", b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("a PUT with a body", head.replace(b"POST", b"PUT") + b"Content-Type: image/png\r\nContent-Length: 3\r\n\r\nabc", 405),
    ("a TRACE with a body", head.replace(b"POST", b"TRACE") + b"Content-Length: 3\r\n\r\nabc", 405),
    ("a GET with a body", b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("a GET of /v1/predict with a body", head.replace(b"POST", b"GET") + b"Content-Length: 3\r\n\r\nabc", 405),
    ("an unknown value of live", head.replace(b"predict", b"predict?live=2") + b"Content-Length: 3\r\n\r\nabc", 400),
    ("GET of /v1/predict", b"GET /v1/predict HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
]
for name, data, status in cases:
    answer = server.raw(data)
    check(f"{name}: {status}", status_of(answer) == status, answer[:200])

boundary = "multipart/form-data; boundary=XX"
part = b'--XX\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
bodies = [
    ("wrong Content-Type", face, "text/plain", 415, "wrong_type"),
    ("a GIF", b"GIF89a" + bytes(100), "image/png", 415, "wrong_type"),
    ("an empty body", b"", "image/png", 400, "empty"),
    ("a cut picture", face[:-200], "image/png", 422, "bad_picture"),
    ("a damaged picture", face[:200] + b"\0" * 50 + face[250:], "image/png", 422, "bad_picture"),
    ("a picture of no size", png_of(0, 0, b""), "image/png", 422, "bad_picture"),
    ("a picture bomb", png_of(60000, 60000, bytes(100)), "image/png", 413, "picture_too_large"),
    ("a small lie about a bomb", png_of(4000, 4000, bytes(100)), "image/png", 422, "bad_picture"),
    ("a face of 4x4 pixels", png(4, 4), "image/png", 422, "bad_picture"),
    ("multipart without an end", part + face, boundary, 400, "bad_multipart"),
    ("multipart without a boundary", part + face + b"\r\n--XX--", "multipart/form-data", 400, "bad_multipart"),
    ("multipart without an image", b"--XX--", boundary, 400, "bad_multipart"),
]
for name, body, kind, status, code in bodies:
    got = server.predict(body, kind)
    check(f"{name}: {status} {code}", got[0] == status and error_of(got[2]) == code, got)
good = server.predict(part + face + b"\r\n--XX--\r\n", boundary)
check("multipart: its file name", good[0] == 200 and json.loads(good[2])["file"] == "a.png", good)

hundred = b"x" * 100_000_000
got = server.predict(hundred)
check("100 MB: 413, and the connection is answered", got[0] == 413 and error_of(got[2]) == "body_too_large", got[0])
answer = server.raw(head + b"Content-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
check("100 MB announced: 413 at once", status_of(answer) == 413, answer[:100])
chunked = head + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
answer = server.raw(chunked + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 14 + b"0\r\n\r\n")
check("15 MB in chunks: 413", status_of(answer) == 413, answer[:100])
del hundred, chunked

# ---- the answer's fields ----
status, fields, page = server.ask()
check("the page", status == 200 and page.startswith(b"<!doctype html>"), status)
check("CSP, nosniff, no CORS", "default-src 'none'" in fields.get("Content-Security-Policy", "")
      and fields.get("X-Content-Type-Options") == "nosniff" and not any("allow-origin" in f.lower() for f in fields), fields)
check("an answered GET keeps its connection", fields.get("Connection", "keep-alive").lower() != "close", fields)
openapi = json.loads(server.ask(path="/openapi.json")[2])
answered = {path: server.ask(path=path)[0] for path, item in openapi["paths"].items() if "get" in item}
check("openapi.json: each GET is answered", all(s == 200 for s in answered.values()), answered)
codes = set(openapi["paths"]["/v1/predict"]["post"]["responses"])
seen = {str(b[3]) for b in bodies} | {"200", "403", "411", "421", "431"}
check("openapi.json: each status is in it", seen <= codes, seen - codes)

# ---- decoders that die ----
for pid in server.decoders(): os.kill(pid, signal.SIGKILL)
time.sleep(0.1)
answers = [server.predict(face)[0] for _ in range(6)]
check("decoders killed: no request is lost", answers == [200] * 6, answers)
check("decoders killed: they are counted", server.metric("mien_decoder_restarts_total") >= 1)
stop = threading.Event()


def kill_often():
    while not stop.is_set():
        for pid in server.decoders():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.2)


killer = threading.Thread(target=kill_often)
killer.start()
answers = [server.predict(face)[0] for _ in range(40)]
stop.set()
killer.join()
check("decoders killed while they work: 200 or 422", set(answers) <= {200, 422} and answers.count(200) > 20, answers)
check("and the server lives", server.alive() and server.predict(face)[0] == 200)
status = server.stop()
check("SIGTERM: it ends with 0", status == 0, status, server.text()[-300:])
check("no decoder is left", not server.decoders())

# ---- the model's file ----
shutil.copy(model, "m.h5")
server = Server("--detector", "none", "--model", "m.h5")
before = server.predict(face)[2]
with open("m.h5", "wb") as f: f.write(b"not a model")
check("the model's file is overwritten: the same answer", server.predict(face)[2] == before)
os.remove("m.h5")
check("the model's file is removed: the same answer", server.predict(face)[2] == before)

# ---- ports ----
again = subprocess.run([mien, "serve", "--port", str(server.port)], capture_output=True, text=True)
check("a port in use", again.returncode == 1 and "is in use by another program" in again.stderr
      and len(again.stderr.strip().splitlines()) <= 2, again)
with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f: first = int(f.read())
if os.getuid() == 0 and shutil.which("setpriv") and first > 80 and os.access(root, os.R_OK):
    os.chmod(work, 0o755)
    low = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                          "--bounding-set=-all", mien, "serve", "--port", "80", "--model", model],
                         capture_output=True, text=True, timeout=60)
    check("no right to listen on port 80", low.returncode == 1 and "no right to listen on port 80" in low.stderr, low)
else:
    skip("no right to listen", "all ports are free, or this is not root")
server.stop()

# ---- the log ----
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]


def on_port(stderr, *args):
    process = subprocess.Popen([mien, "serve", "--port", str(port), "--detector", "none", *args], stderr=stderr)
    s = Server.__new__(Server)
    s.process, s.pid, s.port = process, process.pid, port
    for _ in range(600):
        try:
            s.ask(path="/readyz")
            break
        except OSError:
            time.sleep(0.1)
    return s


with open("/dev/full", "wb") as full:
    server = on_port(full)
    answers = [server.predict(face)[0] for _ in range(20)]
    time.sleep(0.3)
    lost = server.metric("mien_log_lines_lost_total")
    check("a full disk for the log: requests are answered, lost lines counted", answers == [200] * 20 and lost > 0, lost)
    check("a full disk for the log: it ends with 0", server.stop() == 0)
read, write = os.pipe()
server = on_port(write)
answers = [server.ask(path="/" + "x" * 190)[0] for _ in range(1500)]
check("a log that nobody reads: requests are answered", answers == [404] * 1500 and server.predict(face)[0] == 200)
check("a log that nobody reads: it ends", server.stop(seconds=20) == 0)
os.close(read)
os.close(write)

# ---- the token ----
with open("token", "w") as f: f.write("0123456789abcdef0123456789abcdef\n")
server = Server("--detector", "none", "--token-file", "token", "--host", "0.0.0.0")
right, wrong = {"Authorization": "Bearer 0123456789abcdef0123456789abcdef"}, {"Authorization": "Bearer 0123456789abcdef"}
got = [server.ask(path=p, headers=h)[0] for p in ("/v1/model", "/metrics") for h in ({}, wrong, right)]
check("the token is needed for API and metrics", got == [401, 401, 200] * 2, got)
got = server.predict(face)
check("401 names the scheme", got[0] == 401 and got[1].get("WWW-Authenticate", "").startswith("Bearer"), got)
check("with the token", server.predict(face, **right)[0] == 200)
check("page and health need none", [server.ask(path=p)[0] for p in ("/", "/healthz", "/readyz")] == [200] * 3)
check("the token is not in the log", "0123456789abcdef" not in server.text())
server.stop()

# ---- TLS ----
if shutil.which("openssl"):
    import ssl
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    server = Server("--detector", "none", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    import http.client
    c = http.client.HTTPSConnection("127.0.0.1", server.port, context=ssl.create_default_context(cafile="cert.pem"))
    c.request("POST", "/v1/predict", face, {"Content-Type": "image/png"})
    check("HTTPS", c.getresponse().status == 200)
    c.close()
    check("HTTP at the port of HTTPS: no answer, no crash", status_of(server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) in (0, 400) and server.alive())
    server.stop()
    bad = subprocess.run([mien, "serve", "--port", "0", "--tls-cert", "token", "--tls-key", "key.pem"], capture_output=True, text=True)
    check("a bad certificate", bad.returncode == 1 and "certificate" in bad.stderr, bad)
else:
    skip("TLS", "there is no openssl")

os.chdir(root)
shutil.rmtree(work)
sys.exit(serve_lib.failed)
