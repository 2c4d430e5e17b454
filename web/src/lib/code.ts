/** The one-time code of a sign-in link, such as /#/sign-in?code=…, or null. */
export function codeOf(hash: string): string | null {
  const [, query = ""] = hash.split("?", 2);
  return new URLSearchParams(query).get("code");
}

let code = codeOf(window.location.hash);
if (code) {
  // The code leaves the address before anything else happens, so that it is in no history.
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
}

/** Returns the code of the link that opened the page, the first time. */
export function takeCode(): string | null {
  const taken = code;
  code = null;
  return taken;
}
