// A run's form: files are brought and looked at, the command line is shown as it grows, and the run is started.

import { call } from "./call.js";

const form = document.querySelector("#run");
const wrong = document.querySelector("#wrong");

/** What is typed, by name; ticked boxes say true. */
function values() {
  const typed = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && value !== "") typed[name] = value;
  }
  return { verb: form.dataset.verb, values: typed };
}

function complain(error) {
  wrong.textContent = error?.message ?? "";
}

let waiting;
let latest = 0;

/** Shows the command line and what it will cost. */
async function preview() {
  const mine = ++latest;
  const missing = [...form.querySelectorAll("[required]")].filter((field) => field.value === "");
  if (missing.length > 0) return;
  try {
    const said = await call("POST", "/api/preview", values());
    if (mine !== latest) return;
    document.querySelector("#command").textContent = said.command;
    document.querySelector("#cost").textContent = said.cost.text;
    form.querySelector("button.main").disabled = !said.cost.fits;
    complain(said.cost.fits ? null : new Error("This does not fit into memory."));
  } catch (error) {
    if (mine === latest) complain(error);
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(preview, 250);
}

/** Fills the lists of columns from what is in the file. */
async function describe(field) {
  const told = document.querySelector("#described");
  if (field.value === "") return;
  try {
    const said = await call("GET", `/api/describe?name=${encodeURIComponent(field.value)}`);
    told.textContent = `${said.rows} rows of ${said.columns.length} columns (${said.format}): ${said.columns.map((c) => c.name).join(", ")}`;
    for (const list of form.querySelectorAll("select[data-columns]")) fill(list, said);
    complain(null);
  } catch (error) {
    told.textContent = "";
    complain(error);
  }
  soon();
}

function fill(list, said) {
  const before = list.value || list.dataset.columns || ("target" in list.dataset ? said.target : "");
  const none = new Option(list.required ? "choose a column" : "(none)", "");
  list.replaceChildren(none, ...said.columns.map((column) => new Option(`${column.name} (${column.kind})`, column.name)));
  list.value = said.columns.some((column) => column.name === before) ? before : "";
}

/** Sends a file to the server; its path there is what the run reads. */
async function bring(file, field) {
  const told = document.querySelector("#described") ?? wrong;
  told.textContent = `Bringing ${file.name} …`;
  try {
    const said = await call("POST", `/api/files?name=${encodeURIComponent(file.name)}`, file);
    field.value = said.name;
    told.textContent = "";
    field.dispatchEvent(new Event("change", { bubbles: true }));
  } catch (error) {
    told.textContent = "";
    complain(error);
  }
}

for (const chooser of form.querySelectorAll("input[type=file]")) {
  const field = document.getElementById(chooser.dataset.for);
  chooser.addEventListener("change", () => chooser.files[0] && bring(chooser.files[0], field));
}

const zone = form.querySelector("[data-drop]");
zone?.addEventListener("dragover", (event) => {
  event.preventDefault();
  zone.classList.add("over");
});
zone?.addEventListener("dragleave", () => zone.classList.remove("over"));
zone?.addEventListener("drop", (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) bring(file, zone.querySelector("[data-described]"));
});

const described = form.querySelector("[data-described]");
described?.addEventListener("change", () => describe(described));
form.addEventListener("input", soon);
form.addEventListener("change", soon);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  complain(null);
  const button = form.querySelector("button.main");
  button.disabled = true;
  try {
    const said = await call("POST", "/api/runs", values());
    location.assign(said.page);
  } catch (error) {
    complain(error);
    button.disabled = false;
  }
});

if (described?.value) describe(described);
else soon();
