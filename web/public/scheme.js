// Sets the color scheme before the first paint. It is a file of its own because the content security policy forbids
// inline scripts.
(() => {
  let scheme = "auto";
  try {
    scheme = localStorage.getItem("watchbill-color-scheme") || "auto";
  } catch {
    // Storage is disabled: the system's scheme is used.
  }
  if (scheme !== "light" && scheme !== "dark") {
    scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
})();
