"""The page of mien serve in a real browser: photos, webcam, video, errors, keyboard, accessibility.
    serve_page.py [FOLDER_FOR_SCREENSHOTS]"""
import base64, http.server, json, os, shutil, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import serve_lib
from browser import Browser
from page_rules import AXE
from serve_lib import Server, check, mien, png_of, skip

root = os.getcwd()
shots = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
work = tempfile.mkdtemp()
os.chdir(work)
photo = os.path.join(root, "datasets/photos/astronaut.png")
server = Server("--model", os.path.join(root, "models/fer2013-small.h5"))
url = f"http://127.0.0.1:{server.port}/"
want = json.loads(subprocess.run([mien, "predict", photo, "--json", "-q"], capture_output=True, text=True).stdout)
ready = "document.getElementById('model').dataset.state == 'ready'"
with open("broken.png", "wb") as f: f.write(png_of(100, 100, b"no pixels"))


def shot(b, name):
    if shots:
        time.sleep(0.4)
        b.screenshot(os.path.join(shots, name))


def accessible(b, name):
    time.sleep(0.3)  # colours change softly
    wrong = b.run(AXE)
    check(f"accessibility: {name}", not wrong, *wrong[:10])


def boxes_on_screen(b):
    """Where the picture shows the colour of a box: the middle of each side of each face's box."""
    return b.run("""
        const c = document.getElementById("boxes"), g = c.getContext("2d"), w = arguments[0], h = arguments[1];
        return arguments[2].map(f => [[f.box.x + f.box.w / 2, f.box.y + f.box.h], [f.box.x, f.box.y + f.box.h / 2],
            [f.box.x + f.box.w, f.box.y + f.box.h / 2]].every(([x, y]) => {
                const p = g.getImageData(Math.round(x / w * c.width) - 3, Math.round(y / h * c.height) - 3, 7, 7).data;
                return p.some((v, i) => i % 4 == 3 && v > 200); }) &&
            !g.getImageData(Math.round((f.box.x + f.box.w / 2) / w * c.width), Math.round((f.box.y + f.box.h / 2) / h * c.height), 1, 1).data[3]);
        """, want["width"], want["height"], want["faces"])


b = Browser(1280, 900)
try:
    b.open(url)
    b.requests()
    b.open(url)
    b.wait(ready)
    accessible(b, "empty page")
    check("it says what it is not for", b.run("return document.body.innerText").find("prohibits inferring emotions at work and in education") > 0)
    # ---- keyboard ----
    order = []
    for _ in range(5):
        b.press("\ue004")
        order.append(b.run("return document.activeElement.id || document.activeElement.className"))
    check("Tab goes through the controls in order", order[:4] == ["skip", "theme", "choose", "webcam"], order)
    outline = b.run("document.getElementById('choose').focus(); return getComputedStyle(document.activeElement).outlineStyle")
    check("the focus is seen", outline != "none", outline)
    # ---- photos ----
    b.type("#files", photo)
    b.wait("document.querySelectorAll('.face').length == 1")
    time.sleep(0.5)
    face = want["faces"][0]
    shown = b.run("return [document.querySelector('.face .label').textContent, document.querySelector('.face .confidence').textContent]")
    check("a photo: label and score of mien predict", shown == [face["label"], f"{round(100 * face['confidence'])} %"], shown, face)
    check("a photo: the box is where the face is", boxes_on_screen(b) == [True] * len(want["faces"]), boxes_on_screen(b))
    bars = b.run("return [...document.querySelectorAll('.fill')].map(f => parseFloat(f.style.width))")
    check("a photo: the bars are the scores", all(abs(x - 100 * y) < 0.01 for x, y in zip(bars, face["scores"].values())) and len(bars) == 7, bars)
    check("a photo: it is said to a screen reader", b.run("return document.getElementById('summary').textContent") == f"1 face: {face['label']} {round(100 * face['confidence'])} %.")
    accessible(b, "a photo")
    shot(b, "serve.jpg")
    b.type("#files", f"{photo}\n{work}/broken.png")
    b.wait("document.querySelectorAll('#gallery li').length == 3")
    b.wait("!document.getElementById('error').hidden")
    error = b.run("return document.getElementById('error').textContent")
    check("a broken photo: one message, the others are shown", error.startswith("broken.png: ") and "cannot be decoded" in error, error)
    accessible(b, "an error")
    role = b.tree("#gallery li:nth-child(1) button")
    check("the gallery's buttons have names", role[0] == "button" and "astronaut.png: 1 face" in role[1], role)
    b.click("#gallery li:nth-child(1) button")
    b.wait("document.querySelectorAll('.face').length == 1")
    # ---- dropped ----
    with open(photo, "rb") as f: data = base64.b64encode(f.read()).decode()
    b.run("""
        const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0)), d = new DataTransfer();
        d.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
        for (const kind of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: d, bubbles: true, cancelable: true}));""", data)
    b.wait("document.querySelectorAll('#gallery li').length == 4")
    check("a dropped photo", b.wait("document.getElementById('summary').textContent.startsWith('1 face')"))
    # ---- kept ----
    b.click("#json")
    b.click("#csv")
    for _ in range(50):
        if os.path.exists(f"{b.folder.name}/mien-results.csv") and os.path.exists(f"{b.folder.name}/mien-results.json"): break
        time.sleep(0.1)
    with open(f"{b.folder.name}/mien-results.json") as f: kept = json.load(f)
    check("JSON to keep", kept["schema"] == 1 and len(kept["results"]) == 4 and kept["results"][0]["faces"] == want["faces"], kept["results"][:1])
    with open(f"{b.folder.name}/mien-results.csv", newline="") as f: lines = f.read().split("\r\n")
    check("CSV to keep", lines[0].startswith("file,time_s,face,x,y,w,h,detection_score,label,confidence,uncertain,angry,") and len(lines) == 5 and lines[1].startswith("astronaut.png,,1,176,65,"), lines)
    # ---- dark, phone ----
    b.click("#theme")
    check("dark", b.run("return document.documentElement.dataset.theme") == "dark")
    accessible(b, "dark")
    b.size(390, 844)
    time.sleep(0.3)
    accessible(b, "phone width")
    b.run("window.scrollTo(0, 0)")
    shot(b, "serve-phone.jpg")
    b.size(1280, 900)
    b.click("#theme")
    # ---- webcam ----
    b.click("#webcam")
    b.wait("!document.getElementById('timeline').hidden", 30)
    b.wait("document.querySelectorAll('#chart line').length == 5")
    time.sleep(2)
    rate = b.run("return document.getElementById('rate').textContent")
    check("webcam: frames are answered", "frames a second" in rate, rate)
    accessible(b, "webcam")
    b.click("#stop")
    check("webcam: Stop ends it", b.run("return !document.getElementById('video').srcObject && !document.getElementById('webcam').hidden"))
    length = b.run("return document.getElementById('kept').textContent")
    time.sleep(1)
    check("webcam: no frame is sent afterwards", b.run("return document.getElementById('kept').textContent") == length, length)
    # ---- a short video, recorded by the browser from the photo ----
    recorded = b.run_async("""
        const done = arguments[1], image = new Image();
        image.onload = () => {
            const c = document.createElement("canvas"); c.width = image.width; c.height = image.height;
            const g = c.getContext("2d"), r = new MediaRecorder(c.captureStream(20)), parts = [];
            const timer = setInterval(() => g.drawImage(image, Math.random(), 0), 50);
            r.ondataavailable = e => parts.push(e.data);
            r.onstop = () => { clearInterval(timer); const d = new DataTransfer();
                d.items.add(new File(parts, "clip.webm", {type: "video/webm"}));
                document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: d, bubbles: true, cancelable: true})); done(true); };
            r.start(); setTimeout(() => r.stop(), 2000); };
        image.src = "data:image/png;base64," + arguments[0];""", data)
    said = b.wait("document.getElementById('summary').textContent.startsWith('clip.webm: a face in') && document.getElementById('summary').textContent", 90)
    seen, frames = [int(w) for w in said.replace(":", "").replace(".", " ").split() if w.isdigit()][:2]
    check("a video: a face in nearly all frames", frames >= 4 and seen >= frames - 1, said)
    check("a video: a line for each expression", b.run("return document.querySelectorAll('#chart path').length") == 7)
    check("a video: the chart has a name", "frames from" in b.tree("#chart")[1], b.tree("#chart"))
    accessible(b, "a video")
    shot(b, "serve-video.jpg")
    b.click("#clear")
    check("Clear", b.run("return document.getElementById('gallery').hidden && !document.querySelector('.face') && document.getElementById('json').disabled"))
    # ---- nothing leaves, nothing complains ----
    asked = b.requests()
    foreign = [a for a in asked if not a.startswith((url, "blob:" + url, "data:"))]
    check(f"no request leaves ({len(asked)} requests)", len(asked) > 10 and not foreign, foreign[:5])
    complaints = [c for c in b.complaints() if "422" not in c]
    check("the browser complains about nothing", not complaints, *complaints[:5])
    # ---- the server goes away ----
    server.stop()
    b.type("#files", photo)
    b.wait("!document.getElementById('error').hidden")
    check("the server is gone: it says so", "cannot be reached" in b.run("return document.getElementById('error').textContent"))
    check("no frame is stored", not [f for f in os.listdir(work) if f not in ("broken.png", "serve.log")], os.listdir(work))

    # ---- a token ----
    with open("token", "w") as f: f.write("0123456789abcdef0123\n")
    server = Server("--detector", "none", "--token-file", "token")
    b.open(f"http://127.0.0.1:{server.port}/")
    b.wait("document.getElementById('login').open")
    accessible(b, "the question for a token")
    b.type("#token", "wrong-wrong-wrong-wrong")
    b.press("\ue007")
    b.wait("document.getElementById('login').open && document.getElementById('login-text').textContent.includes('not the right one')")
    b.type("#token", "0123456789abcdef0123")
    b.press("\ue007")
    check("a token: asked for, refused, taken", b.wait(ready))
    b.open(f"http://127.0.0.1:{server.port}/")
    check("a token: kept for the tab", b.wait(ready) and not b.run("return document.getElementById('login').open"))
    server.stop()

    # ---- a page of another site ----
    server = Server("--detector", "none")

    class Foreign(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>other</title>")

        def log_message(self, *args): pass
    other = http.server.HTTPServer(("127.0.0.1", 0), Foreign)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    b.open(f"http://127.0.0.1:{other.server_port}/")
    result = b.run_async("""const done = arguments[1], body = new FormData(); body.append("image", new Blob(["x"]), "a.png");
        fetch(arguments[0] + "v1/predict", {method: "POST", body}).then(r => done("answered " + r.status), e => done("refused"));""",
                         f"http://127.0.0.1:{server.port}/")
    check("a page of another site cannot read an answer", result == "refused", result)
    time.sleep(0.5)
    check("and its request is refused", '" 403 ' in server.text(), server.text()[-300:])
    framed = b.run_async("""const done = arguments[1], f = document.createElement("iframe"); f.src = arguments[0];
        f.onload = () => { try { done(f.contentDocument ? "own" : "blocked"); } catch { done("blocked"); } }; document.body.append(f);""", f"http://127.0.0.1:{server.port}/")
    check("it cannot be put into a frame", any("frame-ancestors" in c or "frame" in c.lower() for c in b.complaints()) or framed == "blocked", framed)
    other.shutdown()
finally:
    b.close()
    server.stop()
    os.chdir(root)
    shutil.rmtree(work)
sys.exit(serve_lib.failed)
