// Searches while one types: the same page is asked for, and its list of methods taken over.

const form = document.querySelector("#find");
let waiting;
let latest = 0;

async function search() {
  const address = `/?${new URLSearchParams(new FormData(form))}`;
  const mine = ++latest;
  const answer = await fetch(address);
  if (!answer.ok || mine !== latest) return;
  const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#found");
  document.querySelector("#found").replaceChildren(...found.childNodes);
  history.replaceState(null, "", address);
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(search, 120);
}

form.addEventListener("input", soon);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(waiting);
  search();
});
