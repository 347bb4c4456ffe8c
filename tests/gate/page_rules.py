"""What a page must not do, for every page that is tested in a browser."""

# Rules as those of axe-core: each function returns what is wrong.
AXE = r"""
const wrong = [], visible = e => e.getClientRects().length && getComputedStyle(e).visibility != "hidden";
const all = css => [...document.querySelectorAll(css)];
const name = e => e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") || "").split(" ").map(i => document.getElementById(i)?.textContent || "").join(" ").trim() || (e.labels && [...e.labels].map(l => l.textContent).join(" ")) || e.textContent.trim() || e.getAttribute("alt") || "";
if (!document.documentElement.lang) wrong.push("html has no lang");
if (!document.title) wrong.push("no title");
const ids = all("[id]").map(e => e.id);
ids.filter((id, i) => ids.indexOf(id) != i).forEach(id => wrong.push("id twice: " + id));
all("img").forEach(e => { if (!e.hasAttribute("alt")) wrong.push("img without alt: " + e.src); });
all("#photo").filter(visible).forEach(e => { if (!e.alt) wrong.push("the photo has no name"); });
all("button, a[href], input").forEach(e => { if (!name(e)) wrong.push("no name: " + e.outerHTML.slice(0, 80)); });
all("[aria-labelledby], [aria-controls], [aria-describedby], label[for]").forEach(e => ["aria-labelledby", "aria-controls", "aria-describedby", "for"].forEach(a => (e.getAttribute(a) || "").split(" ").filter(Boolean).forEach(i => { if (!document.getElementById(i)) wrong.push(a + " names no element: " + i); })));
all("section, svg[role=img], dialog, ul, ol").filter(visible).forEach(e => { if (e.matches("section, svg[role=img], dialog") && !name(e)) wrong.push("no name: " + e.outerHTML.slice(0, 60)); });
if (all("main").length != 1 || all("h1").length != 1) wrong.push("not one main and one h1");
let level = 0;
all("h1,h2,h3").forEach(h => { const n = +h.tagName[1]; if (n > level + 1) wrong.push("heading level skipped: " + h.textContent); level = n; });
all("[tabindex]").forEach(e => { if (+e.getAttribute("tabindex") > 0) wrong.push("tabindex above 0"); });
all("button, a[href]").filter(visible).forEach(e => { const r = e.getBoundingClientRect(); if (r.height < 24 && !e.matches("p a, footer a")) wrong.push("small target: " + name(e)); });
all("*").filter(e => visible(e) && e.scrollHeight > e.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(e).overflowY) && !e.matches("html,body") && e.tabIndex < 0 && !e.querySelector("button,a")).forEach(e => wrong.push("scrolls without keyboard: " + e.id));
if (document.documentElement.scrollWidth > window.innerWidth) wrong.push("the page is wider than the window");
// contrast of text, by the colours behind it
const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1}; };
const over = (f, b) => ({r: f.r * f.a + b.r * (1 - f.a), g: f.g * f.a + b.g * (1 - f.a), b: f.b * f.a + b.b * (1 - f.a), a: 1});
const back = e => { const own = parse(getComputedStyle(e).backgroundColor); if (own.a == 1) return own; const under = e.parentElement ? back(e.parentElement) : {r: 255, g: 255, b: 255, a: 1}; return over(own, under); };
const lum = c => { const f = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b); };
all("body *").filter(e => visible(e) && [...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim()) && !e.disabled && !e.closest("script,style,.visually-hidden,.skip,canvas")).forEach(e => {
  const s = getComputedStyle(e), b = back(e), t = over(parse(s.color), b), [x, y] = [lum(t), lum(b)].sort((p, q) => q - p);
  const large = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.66 && +s.fontWeight >= 700);
  const c = (x + 0.05) / (y + 0.05);
  if (c < (large ? 3 : 4.5)) wrong.push(`contrast ${c.toFixed(2)}: ${e.textContent.trim().slice(0, 40)}`);
});
return wrong;
"""
