// The playground: points are drawn here, the server's answer is shown at once.

import { call } from "./call.js";
import { PointMap, RING } from "./map.js";
import { ready } from "./pictures.js";

const MOST = 5000;
const NAMES = ["a", "b", "c", "d", "e"];
const find = (selector) => document.querySelector(selector);
const form = find("#tool");
const map = new PointMap(find("#canvas"), { x: 0, y: 0, width: 3.6 });
map.cursor = [0, 0];
map.drags = (event) => event.shiftKey || event.button === 1;

let points = [];
let earlier = [];
let outcome = null;

// Drawing.

function change(next) {
  earlier.push(points);
  if (earlier.length > 100) earlier.shift();
  points = next.slice(0, MOST);
  outcome = null;
  show();
  soon();
}

const here = ([x, y]) => ({ x: Math.round(x * 1e4) / 1e4, y: Math.round(y * 1e4) / 1e4, kind: Number(find("#class").value) });

function nearest([x, y]) {
  const far = (p) => (p.x - x) ** 2 + (p.y - y) ** 2;
  return points.reduce((best, p, i) => (best < 0 || far(p) < far(points[best]) ? i : best), -1);
}

/** A cloud around a place. */
function cloud(at, n) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return Array.from({ length: n }, () => here([at[0] + 0.12 * normal(), at[1] + 0.12 * normal()]));
}

let stroke = null;
map.canvas.addEventListener("pointerdown", (event) => {
  if (map.drags(event) || event.button !== 0) return;
  stroke = [here(map.plane(event.clientX, event.clientY))];
  change([...points, ...stroke]);
  map.cursor = [stroke[0].x, stroke[0].y];
  map.canvas.setPointerCapture(event.pointerId);
});
map.canvas.addEventListener("pointermove", (event) => {
  if (!stroke) return;
  const next = here(map.plane(event.clientX, event.clientY));
  const last = stroke[stroke.length - 1];
  if (Math.hypot(next.x - last.x, next.y - last.y) < 0.04 * map.view.width) return;
  stroke.push(next);
  points = [...points, next].slice(0, MOST);
  outcome = null;
  show();
  soon();
});
for (const end of ["pointerup", "pointercancel"]) map.canvas.addEventListener(end, () => (stroke = null));

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
map.canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const step = STEPS[event.key];
  if (step) {
    const length = map.view.width * (event.shiftKey ? 0.1 : 0.02);
    map.cursor = [map.cursor[0] + step[0] * length, map.cursor[1] + step[1] * length];
    map.changed();
  } else if (event.key === "Enter" || event.key === " ") change([...points, here(map.cursor)]);
  else if (event.key === "Delete" || event.key === "Backspace") {
    const gone = nearest(map.cursor);
    if (gone >= 0) change(points.filter((_, i) => i !== gone));
  } else if (NAMES[Number(event.key) - 1]) find("#class").value = Number(event.key) - 1;
  else if (event.key === "+" || event.key === "-") map.zoom(event.key === "+" ? 0.8 : 1.25, map.cursor);
  else return;
  event.preventDefault();
});

find("#more").addEventListener("click", () => change([...points, ...cloud(map.cursor, 30)]));
find("#back").addEventListener("click", () => {
  if (earlier.length === 0) return;
  points = earlier.pop();
  outcome = null;
  show();
  soon();
});
find("#ready").addEventListener("change", (event) => change(ready(event.target.value)));

// Choosing what to do.

const act = () => form.elements.act.value;
const shown = () => find(`[data-act="${act()}"]`);
const method = () => shown().querySelector("[data-method]").value;
const card = () => shown().querySelector(`[data-card="${method()}"]`);

function unfold() {
  for (const one of form.querySelectorAll("[data-act]")) one.hidden = one !== shown();
  for (const one of form.querySelectorAll("[data-card]")) one.hidden = one !== card();
}

form.addEventListener("input", () => {
  unfold();
  soon();
});
form.addEventListener("submit", (event) => event.preventDefault());
find("#again").addEventListener("click", () => {
  find("#seed").value = (Number(find("#seed").value) || 0) + 1;
  soon();
});

// Asking the server.

function asked() {
  const parameters = {};
  for (const field of card().querySelectorAll("[name]")) {
    const value = field.value.trim();
    if (value !== "" && value !== field.dataset.default) parameters[field.name] = value;
  }
  return {
    points: points.map((p) => [p.x, p.y]),
    classes: points.map((p) => p.kind),
    act: act(),
    method: method(),
    parameters,
    budget: whole("#budget"),
    seed: whole("#seed"),
  };
}

function whole(selector) {
  const value = Number(find(selector).value);
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

let timer = 0;
let turn = 0;
function soon() {
  clearTimeout(timer);
  timer = setTimeout(ask, 60);
}

async function ask() {
  const mine = ++turn;
  if (points.length === 0) return say("Draw some points, or take a ready picture.");
  try {
    const started = performance.now();
    const told = await call("POST", "/api/play", asked());
    if (mine !== turn) return;
    outcome = told;
    say(summary(told, performance.now() - started), told.notes);
    find("#command").textContent = told.command;
  } catch (error) {
    if (mine !== turn) return;
    outcome = null;
    wrong(error.message);
  }
  show();
}

function summary(told, waited) {
  const time = `${told.milliseconds.toFixed(1)} ms in the library, ${waited.toFixed(0)} ms in all`;
  const kept = new Set(told.kept).size;
  if (act() === "select") return `${kept} of ${points.length} points chosen. ${time}.`;
  if (act() === "diffuse") return `${told.made.length} new points. ${time}.`;
  const again = told.kept.length - kept;
  const repeated = again > 0 ? `, ${again} of them again` : "";
  return `${points.length} points became ${told.kept.length + told.made.length}: ${told.kept.length} kept${repeated}, ${told.made.length} new. ${time}.`;
}

function say(text, notes = []) {
  find("#said").textContent = [text, ...notes].join(" ");
  find("#wrong").textContent = "";
}

function wrong(text) {
  find("#said").textContent = "";
  find("#wrong").textContent = text;
}

// Showing.

function show() {
  const marks = { n: 0, x: [], y: [], kind: [], radius: [], strength: [], shape: [] };
  const put = (x, y, kind, radius, strength, shape = -1) => {
    marks.n++;
    for (const [name, value] of Object.entries({ x, y, kind, radius, strength, shape })) marks[name].push(value);
  };
  const times = new Map();
  for (const row of outcome?.kept ?? []) times.set(row, (times.get(row) ?? 0) + 1);
  const new_ = outcome?.made ?? [];
  new_.forEach(([x, y], i) => put(x, y, outcome.made_classes[i] ?? -1, 2.4, 0.8));
  const choosing = act() === "select";
  points.forEach((p, i) => put(p.x, p.y, p.kind, 4.2, outcome && !times.has(i) ? 0.3 : 1));
  if (choosing && outcome) {
    outcome.kept.forEach((row, i) => put(points[row].x, points[row].y, -1, ring(i), 1, RING));
  }
  for (const [row, n] of choosing ? [] : times) {
    if (n > 1) put(points[row].x, points[row].y, -1, Math.min(16, 5 + 1.5 * n), 0.8, RING);
  }
  map.points = marks;
  map.changed();
}

/** Heavier rows have larger rings. */
function ring(i) {
  const weights = outcome.weights;
  if (!weights) return 8;
  const most = Math.max(...weights, 1e-12);
  return 6 + 8 * Math.sqrt(Math.max(0, weights[i]) / most);
}

find("#save").addEventListener("click", () => {
  const lines = ["x,y,class", ...points.map((p) => `${p.x},${p.y},${NAMES[p.kind]}`)];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  link.download = "points.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

unfold();
points = ready(find("#ready").value);
show();
soon();
