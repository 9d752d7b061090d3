// How scripts talk to the server: JSON in, JSON out, the key in a header.

const key = document.querySelector('meta[name="quadrat-key"]')?.content ?? "";

/** Calls the server; a refusal is thrown in its own words. */
export async function call(method, path, body) {
  const raw = body instanceof Blob;
  const headers = { "X-Quadrat-Key": key };
  if (body !== undefined && !raw) headers["Content-Type"] = "application/json";
  const sent = body === undefined ? undefined : raw ? body : JSON.stringify(body);
  const answer = await fetch(path, { method, headers, body: sent });
  const said = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(said.error ?? `the server answered ${answer.status}`);
  return said;
}

// The address that the terminal printed holds the key: it is in a cookie by now and need not stay in sight.
if (new URLSearchParams(location.search).has("key")) {
  const address = new URL(location.href);
  address.searchParams.delete("key");
  history.replaceState(null, "", address);
}
