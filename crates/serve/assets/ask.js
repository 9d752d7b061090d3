// Twenty questions: the game is the list of replies, which is kept in this tab and sent whole.

import { call } from "./call.js";

const find = (selector) => document.querySelector(selector);
let game = JSON.parse(sessionStorage.getItem("game") ?? "null") ?? { input: "builtin:zoo", noise: 0.05, replies: [] };
let next = null;
let turn = 0;

async function play() {
  const mine = ++turn;
  next = null;
  try {
    const now = await call("POST", "/api/ask", game);
    if (mine !== turn) return;
    sessionStorage.setItem("game", JSON.stringify(game));
    next = now.next;
    show(now);
  } catch (error) {
    if (mine === turn) find("#wrong").textContent = error.message;
  }
}

function show(now) {
  find("#wrong").textContent = "";
  const spent = now.asked.length;
  find("#question").textContent = now.next
    ? `${spent + 1}. ${now.next.text}`
    : `After ${spent} question${spent === 1 ? "" : "s"} my answer is: ${now.guess}`;
  for (const button of document.querySelectorAll("[data-reply]")) button.disabled = !now.next;
  find("#undo").disabled = spent === 0;
  find("#best").replaceChildren(...now.best.flatMap(bar));
  find("#asked").replaceChildren(...now.asked.map((said) => made("li", `${said.text} ${said.reply}`)));
  find("#command").textContent = now.command;
}

function made(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function bar({ item, chance }) {
  const name = made("div", item);
  name.className = "name";
  name.title = item;
  const length = document.createElement("meter");
  length.value = chance;
  length.setAttribute("aria-label", item);
  const row = document.createElement("div");
  row.className = "chance";
  row.append(length, made("b", `${(100 * chance).toFixed(1)}%`));
  return [name, row];
}

function reply(value) {
  if (!next) return;
  game.replies.push({ query: next.query, reply: value });
  play();
}

function undo() {
  if (game.replies.pop()) play();
}

for (const button of document.querySelectorAll("[data-reply]")) {
  button.addEventListener("click", () => reply(button.dataset.reply === "" ? null : Number(button.dataset.reply)));
}
find("#undo").addEventListener("click", undo);
find("#anew").addEventListener("click", () => {
  game.replies = [];
  play();
});
find("#game").addEventListener("submit", (event) => {
  event.preventDefault();
  game = { input: find("#input").value.trim(), noise: Number(find("#noise").value), replies: [] };
  play();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea")) return;
  if (event.key === "y") reply(1);
  else if (event.key === "n") reply(0);
  else if (event.key === "?") reply(null);
  else if (event.key === "u") undo();
});

find("#input").value = game.input;
find("#noise").value = game.noise;
play();
