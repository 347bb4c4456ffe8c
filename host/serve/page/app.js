// Where pictures come from, and the requests to the server.
import {describe, drawBoxes, drawChart, setClasses, showFaces} from "./views.js";

const $ = id => document.getElementById(id);
const liveWidth = 640, videoStep = 0.25, videoMost = 240, liveSpan = 60, keepMost = 20000;
const state = {
  model: null,
  kept: [],      // {source, kind, time_s, width, height, faces, error?}
  photos: [],    // {name, url, result}
  points: [],    // of the webcam or video: {time, faces}
  shown: null,   // what the boxes belong to: {faces, width, height}
  run: 0,        // the number of what is running; a change stops the one before
  stream: null,
  bodyMost: 10 * 1024 * 1024,
};

// ---- the server ----

let token = sessionStorage.getItem("mien-token");
let asking = null;

/** One question, whoever asks first. */
function askToken(wrong) {
  asking ??= new Promise(resolve => {
    $("login-text").textContent = wrong ? "That token is not the right one. Please try again."
      : "This server wants a token. It is kept for this tab only.";
    $("token").value = "";
    $("login").addEventListener("close", () => {
      token = $("token").value.trim();
      sessionStorage.setItem("mien-token", token);
      asking = null;
      resolve();
    }, {once: true});
    $("login").showModal();
  });
  return asking;
}

class ServerError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function request(path, options = {}) {
  for (;;) {
    const headers = {...options.headers, ...(token ? {Authorization: `Bearer ${token}`} : {})};
    let response;
    try {
      response = await fetch(path, {...options, headers, credentials: "omit", redirect: "error"});
    } catch {
      setServer("lost", "Server not reachable");
      throw new ServerError(0, "unreachable", "The server cannot be reached. Is it still running?");
    }
    if (response.status === 401) {
      await askToken(Boolean(token));
      continue;
    }
    const body = await response.json().catch(() => null);
    if (state.model) setServer("ready", modelText());
    if (response.ok) return body;
    throw new ServerError(response.status, body?.error?.code ?? "unknown",
      body?.error?.message ?? `The server answered with status ${response.status}.`);
  }
}

const predict = (blob, live) =>
  request(live ? "/v1/predict?live=1" : "/v1/predict", {method: "POST", body: blob, headers: {"Content-Type": blob.type}});

function setServer(kind, text) {
  if ($("model").textContent !== text) $("model").textContent = text;
  $("model").dataset.state = kind;
}
const modelText = () => `${state.model.models.join(" + ")} · ${state.model.classes.length} expressions`;

async function connect() {
  try {
    state.model = await request("/v1/model");
    state.bodyMost = state.model.limits.body_bytes;
    setClasses(state.model.classes);
    setServer("ready", modelText());
    $("version").textContent = `Mien ${state.model.version}`;
  } catch (error) {
    showError(error.message);
    setTimeout(connect, 2000);
  }
}

// ---- what is shown ----

function showError(message) {
  $("error").hidden = !message;
  $("error").textContent = message ?? "";
}
function setBusy(text) {
  $("busy").hidden = !text;
  if (text) $("busy-text").textContent = text;
}
function showMedia(which) {
  $("stage").classList.toggle("empty", !which);
  $("welcome").hidden = Boolean(which);
  $("frame").hidden = !which;
  $("photo").hidden = which !== "photo";
  $("video").hidden = which !== "video";
}
function redraw() {
  if (state.shown) drawBoxes($("boxes"), state.shown.faces, state.shown.width, state.shown.height);
}
function show(result, sentence) {
  state.shown = {faces: result.faces, width: result.width, height: result.height};
  redraw();
  showFaces($("faces"), result.faces);
  if ($("summary").textContent !== sentence) $("summary").textContent = sentence;
}
function nothingShown(sentence) {
  state.shown = {faces: [], width: 1, height: 1};
  redraw();
  $("faces").replaceChildren();
  $("summary").textContent = sentence;
}
function updateChart(span) {
  $("timeline").hidden = !state.points.length;
  if (state.points.length)
    drawChart({chart: $("chart"), legend: $("legend"), from: $("axis-from"), to: $("axis-to")}, state.points, span);
}
function keep(entry) {
  state.kept.push(entry);
  if (state.kept.length > keepMost) state.kept.shift();
  for (const id of ["json", "csv", "clear"]) $(id).disabled = false;
  const n = state.kept.length;
  $("kept").textContent = `${n} ${n === 1 ? "picture" : "pictures"} so far. Numbers only, no pictures; gone when this tab is closed.`;
}

// ---- photos ----

const canvasBlob = (canvas, quality) => new Promise(resolve => canvas.toBlob(resolve, "image/jpeg", quality));

/** What the server does not take as it is becomes a JPEG here. */
async function uploadable(file) {
  const known = ["image/jpeg", "image/png", "image/webp"].includes(file.type);
  if (known && file.size <= state.bodyMost) return file;
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) throw new ServerError(0, "no_picture", "This file is not a picture that the browser can open.");
  const scale = Math.min(1, 3000 / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvasBlob(canvas, 0.92);
}

function photoButton(photo) {
  const button = document.createElement("button"), image = document.createElement("img");
  const count = document.createElement("span");
  button.type = "button";
  image.src = photo.url;
  image.alt = "";
  count.className = `count${photo.result.error ? " failed" : ""}`;
  count.textContent = photo.result.error ? "!" : photo.result.faces.length;
  count.setAttribute("aria-hidden", "true");
  button.append(image, count);
  button.setAttribute("aria-label", photo.result.error ? `${photo.name}: ${photo.result.error}`
    : `${photo.name}: ${describe(photo.result.faces)}`);
  button.addEventListener("click", () => selectPhoto(photo));
  photo.button = button;
  return button;
}

async function selectPhoto(photo) {
  stopRunning();
  state.points = [];
  updateChart(0);
  await showPhoto(photo);
  for (const p of state.photos) p.button?.setAttribute("aria-current", String(p === photo));
  showError(photo.result.error ? `${photo.name}: ${photo.result.error}` : null);
  if (photo.result.error) nothingShown(`${photo.name} could not be analysed.`);
  else show(photo.result, describe(photo.result.faces, photo.name));
}

async function showPhoto(photo) {
  const image = $("photo");
  image.src = photo.url;
  image.alt = `Photo ${photo.name}`;
  await image.decode().catch(() => {});
  showMedia(image.naturalWidth ? "photo" : null);
}

async function analysePhoto(file) {
  const photo = {name: file.name, url: URL.createObjectURL(file)};
  try {
    photo.result = await predict(await uploadable(file), false);
    keep({source: file.name, kind: "photo", time_s: null, width: photo.result.width,
      height: photo.result.height, faces: photo.result.faces});
  } catch (error) {
    photo.result = {error: error.message, faces: [], width: 1, height: 1};
    keep({source: file.name, kind: "photo", time_s: null, faces: [], error: error.message});
  }
  return photo;
}

async function analysePhotos(files) {
  const run = ++state.run;
  for (let i = 0; i < files.length && run === state.run; i++) {
    setBusy(files.length > 1 ? `Photo ${i + 1} of ${files.length} …` : "Looking for faces …");
    const photo = await analysePhoto(files[i]);
    state.photos.push(photo);
    const item = document.createElement("li");
    item.append(photoButton(photo));
    $("gallery").append(item);
    $("gallery").hidden = state.photos.length < 2;
    if (run !== state.run) break;
    await selectKeepingRun(photo);
  }
  setBusy(null);
}
/** Shows a photo while others are still being analysed. */
async function selectKeepingRun(photo) {
  const run = state.run;
  await selectPhoto(photo);
  state.run = run;
}

// ---- webcam and video ----

const grab = document.createElement("canvas");

async function frameOf(video) {
  const scale = Math.min(1, liveWidth / video.videoWidth);
  grab.width = Math.round(video.videoWidth * scale);
  grab.height = Math.round(video.videoHeight * scale);
  grab.getContext("2d", {willReadFrequently: true}).drawImage(video, 0, 0, grab.width, grab.height);
  return canvasBlob(grab, 0.85);
}

function stopRunning() {
  state.run++;
  state.stream?.getTracks().forEach(track => track.stop());
  state.stream = null;
  const video = $("video");
  video.pause();
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
  }
  $("stop").hidden = true;
  $("webcam").hidden = false;
  $("rate").textContent = "";
  setBusy(null);
}

function beginMoving() {
  stopRunning();
  showError(null);
  state.points = [];
  for (const p of state.photos) p.button?.setAttribute("aria-current", "false");
  nothingShown("Starting …");
  $("stop").hidden = false;
  $("webcam").hidden = true;
  $("stop").focus();
  return state.run;
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

/** One frame: false if the server was too busy for it. */
async function analyseFrame(run, video, kind, source, time, live) {
  try {
    const result = await predict(await frameOf(video), live);
    if (run !== state.run) return null;
    state.points.push({time, faces: result.faces});
    keep({source, kind, time_s: Number(time.toFixed(3)), width: result.width, height: result.height, faces: result.faces});
    showError(null);
    return result;
  } catch (error) {
    if (error.status === 503) return null;
    throw error;
  }
}

const cameraProblem = error => ({
  NotAllowedError: "The browser was not allowed to use the webcam. Allow it for this page and try again.",
  NotFoundError: "No webcam was found. Connect one, or choose photos instead.",
  NotReadableError: "The webcam is used by another program.",
}[error.name] ?? `The webcam cannot be used: ${error.message}`);

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error("Browsers allow the webcam only on https:// and on this machine (localhost).");
  try {
    return await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 1280}, facingMode: "user"}, audio: false});
  } catch (error) {
    throw new Error(cameraProblem(error));
  }
}

async function runWebcam() {
  const run = beginMoving(), video = $("video");
  try {
    const stream = await openCamera();
    if (run !== state.run) return stream.getTracks().forEach(track => track.stop());
    state.stream = stream;
    video.srcObject = stream;
    await video.play();
    showMedia("video");
    await liveLoop(run, video);
  } catch (error) {
    if (run !== state.run) return;
    stopRunning();
    if (!state.points.length) showMedia(null);
    nothingShown("The webcam is off.");
    showError(error.message);
    $("webcam").focus();
  }
}

/** The next frame is taken when the last one is answered: frames are dropped, never queued. */
async function liveLoop(run, video) {
  const start = performance.now();
  let said = 0, before = start, every = 0;
  while (run === state.run) {
    const result = await analyseFrame(run, video, "webcam", "webcam", (performance.now() - start) / 1000, true);
    if (run !== state.run) return;
    const now = performance.now();
    if (!result) {
      await pause(150);
      continue;
    }
    every = every ? 0.9 * every + 0.1 * (now - before) : now - before;
    before = now;
    $("rate").textContent = `${(1000 / every).toFixed(1)} frames a second`;
    const speak = now - said > 2000; // not each frame for a screen reader
    if (speak) said = now;
    show(result, speak ? describe(result.faces) : $("summary").textContent);
    updateChart(liveSpan);
    await new Promise(requestAnimationFrame);
  }
}

const once = (target, name) => new Promise((resolve, reject) => {
  target.addEventListener(name, resolve, {once: true});
  target.addEventListener("error", () => reject(new Error("The browser cannot play this video. Convert it to MP4 (H.264) or WebM.")), {once: true});
});

/** A video recorded by a browser may not know its length before its end was seen. */
async function lengthOf(video) {
  if (Number.isFinite(video.duration)) return video.duration;
  video.currentTime = 1e6;
  await once(video, "seeked");
  return Number.isFinite(video.duration) ? video.duration : video.currentTime;
}

async function runVideo(file) {
  const run = beginMoving(), video = $("video");
  try {
    video.src = URL.createObjectURL(file);
    await once(video, "loadeddata");
    showMedia("video");
    const length = await lengthOf(video), step = Math.max(videoStep, length / videoMost);
    for (let time = 0; time < length && run === state.run; time += step) {
      setBusy(`${time.toFixed(0)} of ${length.toFixed(0)} s …`);
      const seeked = once(video, "seeked");
      video.currentTime = time;
      await seeked;
      let result = null;
      while (run === state.run && !(result = await analyseFrame(run, video, "video", file.name, time, false)))
        await pause(500);
      if (run !== state.run) return;
      show(result, $("summary").textContent);
      updateChart(0);
    }
    if (run !== state.run) return;
    const seen = state.points.filter(p => p.faces.length).length;
    $("summary").textContent = `${file.name}: a face in ${seen} of ${state.points.length} frames.`;
    setBusy(null);
    $("stop").hidden = true;
    $("webcam").hidden = false;
  } catch (error) {
    if (run !== state.run) return;
    stopRunning();
    if (!state.points.length) showMedia(null);
    nothingShown(`${file.name} could not be analysed.`);
    showError(error.message);
  }
}

// ---- results to keep ----

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
const cell = value => {
  const text = value === null || value === undefined ? "" : String(value);
  // a name that begins like a formula must not become one in a spreadsheet
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
function csvText() {
  const names = state.model?.classes ?? [];
  const head = ["file", "time_s", "face", "x", "y", "w", "h", "detection_score", "label", "confidence", "uncertain", ...names];
  const rows = state.kept.flatMap(r => r.faces.map(f => [r.source, r.time_s, f.id, f.box.x, f.box.y, f.box.w, f.box.h,
    f.detection_score, f.label, f.confidence, f.uncertain, ...names.map(n => f.scores[n])]));
  return [head, ...rows].map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

// ---- the page ----

function take(files) {
  const videos = files.filter(f => f.type.startsWith("video/"));
  const photos = files.filter(f => !f.type.startsWith("video/"));
  if (!files.length) return;
  showError(null);
  if (videos.length && photos.length) showError("Photos and videos cannot be mixed: the photos are analysed.");
  if (photos.length) {
    stopRunning();
    analysePhotos(photos);
  } else {
    runVideo(videos[0]);
  }
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", String(dark));
}

function begin() {
  const wanted = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = localStorage.getItem("mien-theme");
  setTheme(stored ? stored === "dark" : wanted.matches);
  wanted.addEventListener("change", e => { if (!localStorage.getItem("mien-theme")) setTheme(e.matches); });
  $("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    localStorage.setItem("mien-theme", dark ? "dark" : "light");
    setTheme(dark);
  });
  $("server").textContent = location.host;
  $("choose").addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => {
    take([...$("files").files]);
    $("files").value = "";
  });
  $("webcam").addEventListener("click", runWebcam);
  $("stop").addEventListener("click", () => {
    stopRunning();
    $("summary").textContent = `Stopped after ${state.points.length} frames.`;
    $("webcam").focus();
  });
  $("json").addEventListener("click", () => save("mien-results.json", "application/json",
    JSON.stringify({schema: 1, model: state.model, results: state.kept}, null, 2)));
  $("csv").addEventListener("click", () => save("mien-results.csv", "text/csv", csvText()));
  $("clear").addEventListener("click", clearAll);
  new ResizeObserver(redraw).observe($("frame"));
  dropping();
  connect();
}

function clearAll() {
  stopRunning();
  for (const p of state.photos) URL.revokeObjectURL(p.url);
  state.photos = [];
  state.kept = [];
  state.points = [];
  $("gallery").replaceChildren();
  $("gallery").hidden = true;
  updateChart(0);
  showMedia(null);
  showError(null);
  nothingShown("No picture yet.");
  $("kept").textContent = "Numbers only, no pictures. They are gone when this tab is closed.";
  for (const id of ["json", "csv", "clear"]) $(id).disabled = true;
  $("choose").focus();
}

function dropping() {
  let depth = 0;
  const isFile = e => e.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", e => { if (isFile(e)) { e.preventDefault(); depth++; $("drop").hidden = false; } });
  document.addEventListener("dragover", e => { if (isFile(e)) e.preventDefault(); });
  document.addEventListener("dragleave", e => { if (isFile(e) && --depth <= 0) { depth = 0; $("drop").hidden = true; } });
  document.addEventListener("drop", e => {
    if (!isFile(e)) return;
    e.preventDefault();
    depth = 0;
    $("drop").hidden = true;
    take([...e.dataTransfer.files]);
  });
  document.addEventListener("paste", e => {
    const files = [...(e.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
}

begin();
