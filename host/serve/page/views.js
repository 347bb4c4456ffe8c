// What is drawn: boxes on the picture, bars of each face, the chart over time.

const palette = ["#d6336c", "#5f7a1f", "#7048e8", "#a85b00", "#1971c2", "#0b8577", "#64748b", "#a0522d", "#9c36b5", "#2b8a3e"];
const dashes = ["", "8 4", "2 4", "12 4 2 4", "", "6 3", "3 3", "10 3", "1 3", "5 5"];
const svgSpace = "http://www.w3.org/2000/svg";
let classes = [];

export const setClasses = names => { classes = names; };
export const colourOf = name => palette[Math.max(0, classes.indexOf(name)) % palette.length];
const percent = p => `${Math.round(100 * p)} %`;

function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

// ---- boxes ----

function roundedBox(context, x, y, w, h, r) {
  context.beginPath();
  context.roundRect(x, y, w, h, Math.min(r, w / 2, h / 2));
}

const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** Where a label of `wide` x `high` goes: above or below its box, clear of what is `taken`. */
function labelSpot(box, wide, high, canvas, taken) {
  const x = Math.max(0, Math.min(box.x, canvas.width - wide));
  const spots = [{x, y: box.y - high - 2, w: wide, h: high}, {x, y: box.y + box.h + 2, w: wide, h: high}];
  return spots.find(s => s.y >= 0 && s.y + high <= canvas.height && !taken.some(t => t !== box && overlap(s, t)));
}

function drawBox(context, box, colour, dashed, scale) {
  roundedBox(context, box.x, box.y, box.w, box.h, 8 * scale);
  context.lineWidth = 4.5 * scale;
  context.strokeStyle = "rgb(255 255 255 / 75%)";
  context.stroke();
  context.lineWidth = 2.5 * scale;
  context.strokeStyle = colour;
  context.setLineDash(dashed ? [6 * scale, 4 * scale] : []);
  context.stroke();
  context.setLineDash([]);
}

/** Boxes and labels over a picture of `width` x `height` pixels; a label that would cover another
 *  face is only its number, as in the list of faces. */
export function drawBoxes(canvas, faces, width, height) {
  const shown = canvas.getBoundingClientRect(), scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(shown.width * scale));
  canvas.height = Math.max(1, Math.round(shown.height * scale));
  const context = canvas.getContext("2d"), sx = canvas.width / width, sy = canvas.height / height;
  const size = 14 * scale, high = size * 1.6;
  const boxes = faces.map(face => ({face, x: face.box.x * sx, y: face.box.y * sy, w: face.box.w * sx, h: face.box.h * sy}));
  const taken = [...boxes];
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const box of boxes.sort((a, b) => b.w * b.h - a.w * a.h)) {
    const {face} = box, colour = face.uncertain ? "#475569" : colourOf(face.label);
    drawBox(context, box, colour, face.uncertain, scale);
    const long = `${face.id} · ${face.label} ${percent(face.confidence)}`;
    let text = long, spot = labelSpot(box, context.measureText(long).width + size, high, canvas, taken);
    if (!spot) {
      text = String(face.id);
      const wide = context.measureText(text).width + size * 0.7;
      spot = labelSpot(box, wide, high, canvas, taken) ??
        {x: Math.max(0, box.x), y: Math.max(0, Math.min(box.y - high / 2, canvas.height - high)), w: wide, h: high};
    }
    taken.push(spot);
    context.fillStyle = colour;
    roundedBox(context, spot.x, spot.y, spot.w, spot.h, 6 * scale);
    context.fill();
    context.fillStyle = "#fff";
    context.fillText(text, spot.x + (spot.w - context.measureText(text).width) / 2, spot.y + high / 2);
  }
}

// ---- faces ----

function bar(name, value) {
  const fill = element("span", {class: "fill"});
  fill.style.width = `${100 * value}%`;
  fill.style.setProperty("--mark", colourOf(name));
  return [element("dt", {}, name),
    element("dd", {}, element("span", {class: "track", "aria-hidden": "true"}, fill),
      element("span", {class: "value"}, percent(value)))];
}

function faceItem(face) {
  const number = element("span", {class: "number", "aria-label": `Face ${face.id}`}, String(face.id));
  number.style.setProperty("--mark", face.uncertain ? "#475569" : colourOf(face.label));
  const head = element("header", {}, number, element("span", {class: "label"}, face.label));
  if (face.uncertain) head.append(element("span", {class: "uncertain"}, "uncertain"));
  head.append(element("span", {class: "confidence"}, percent(face.confidence)));
  const bars = Object.entries(face.scores).flatMap(([name, value]) => bar(name, value));
  return element("li", {class: "face"}, head, element("dl", {class: "bars"}, ...bars));
}

/** Live pictures keep their bars, so that they move instead of being replaced. */
export function showFaces(list, faces) {
  const same = list.children.length === faces.length && faces.every((face, i) =>
    list.children[i].querySelectorAll("dt").length === Object.keys(face.scores).length);
  if (!same) {
    list.replaceChildren(...faces.map(faceItem));
    // a list that scrolls must be reachable by keyboard
    if (list.scrollHeight > list.clientHeight) list.setAttribute("tabindex", "0");
    else list.removeAttribute("tabindex");
    return;
  }
  faces.forEach((face, i) => {
    const old = list.children[i], fresh = faceItem(face);
    old.querySelector("header").replaceWith(fresh.querySelector("header"));
    const values = Object.values(face.scores);
    old.querySelectorAll(".fill").forEach((fill, k) => { fill.style.width = `${100 * values[k]}%`; });
    old.querySelectorAll(".value").forEach((text, k) => { text.textContent = percent(values[k]); });
  });
}

// ---- the chart ----

function shape(tag, attributes) {
  const e = document.createElementNS(svgSpace, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
}

const largest = faces => faces.reduce((a, b) => !a || b.box.w * b.box.h > a.box.w * a.box.h ? b : a, null);

function legendItem(name, index, mean) {
  const mark = shape("svg", {viewBox: "0 0 26 8", "aria-hidden": "true"});
  mark.append(shape("path", {d: "M0 4H26", stroke: palette[index % palette.length], "stroke-width": 3,
    "stroke-dasharray": dashes[index % dashes.length]}));
  const item = element("li", {}, mark, name);
  item.append(" ", element("b", {}, percent(mean)));
  return item;
}

/** `points`: [{time, faces}], in order; `span`: seconds that are shown, 0 for all. */
export function drawChart(parts, points, span) {
  const {chart, legend, from, to} = parts, width = 800, height = 220, pad = 8;
  const last = points.length ? points[points.length - 1].time : 0;
  const begin = span ? Math.max(0, last - span) : 0, end = Math.max(last, begin + 1);
  const shown = points.filter(p => p.time >= begin).map(p => ({time: p.time, face: largest(p.faces)}));
  const x = t => (width * (t - begin)) / (end - begin), y = p => height - pad - (height - 2 * pad) * p;
  chart.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map(p =>
    shape("line", {class: "grid", x1: 0, x2: width, y1: y(p), y2: y(p)})));
  const means = classes.map((name, index) => {
    let d = "", pen = false, sum = 0, count = 0;
    for (const {time, face} of shown) {
      if (!face) { pen = false; continue; }
      d += `${pen ? "L" : "M"}${x(time).toFixed(1)} ${y(face.scores[name] ?? 0).toFixed(1)}`;
      if (!pen) d += "h0.01";
      pen = true;
      sum += face.scores[name] ?? 0;
      count++;
    }
    if (d) chart.append(shape("path", {d, stroke: palette[index % palette.length],
      "stroke-dasharray": dashes[index % dashes.length]}));
    return count ? sum / count : 0;
  });
  const order = classes.map((name, index) => ({name, index, mean: means[index]}));
  legend.replaceChildren(...order.map(o => legendItem(o.name, o.index, o.mean)));
  const best = [...order].sort((a, b) => b.mean - a.mean)[0];
  chart.setAttribute("aria-label", shown.some(s => s.face)
    ? `${shown.length} frames from ${begin.toFixed(1)} to ${last.toFixed(1)} seconds; most often ${best.name}, ${percent(best.mean)} on average`
    : "No face so far");
  from.textContent = `${begin.toFixed(0)} s`;
  to.textContent = `${end.toFixed(end < 10 ? 1 : 0)} s`;
}

/** A sentence for the heading and for screen readers. */
export function describe(faces, name) {
  if (!faces.length) return name ? `No face found in ${name}.` : "No face in the picture.";
  const words = faces.slice(0, 4).map(f => `${f.label} ${percent(f.confidence)}${f.uncertain ? " (uncertain)" : ""}`);
  const more = faces.length > 4 ? ` and ${faces.length - 4} more` : "";
  return `${faces.length === 1 ? "1 face" : `${faces.length} faces`}: ${words.join(", ")}${more}.`;
}
