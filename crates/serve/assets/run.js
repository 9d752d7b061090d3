// A run's progress as it works; once it is over the page is asked for again, with the results.

import { call } from "./call.js";

const section = document.querySelector("#progress");

function show(live) {
  const bar = document.querySelector("#bar");
  document.querySelector("#how-far").textContent = live.what || (live.state === "queued" ? "waiting for its turn" : live.state);
  document.querySelector("#note").textContent = [live.total ? `${live.at} of ${live.total}` : live.at || "", live.note].filter(Boolean).join(" · ");
  if (live.total) {
    bar.max = live.total;
    bar.value = live.at;
  } else {
    bar.removeAttribute("value");
  }
}

if (section) {
  const run = section.dataset.run;
  const events = new EventSource(`/api/runs/${run}/events`);
  events.addEventListener("message", (event) => {
    const live = JSON.parse(event.data);
    if (live.state === "queued" || live.state === "running") return show(live);
    events.close();
    location.reload();
  });
  document.querySelector("#cancel").addEventListener("click", async (event) => {
    event.target.disabled = true;
    document.querySelector("#how-far").textContent = "stopping";
    try {
      await call("POST", `/api/runs/${run}/cancel`);
    } catch (error) {
      event.target.disabled = false;
      document.querySelector("#wrong").textContent = error.message;
    }
  });
}
