// What every page does where scripts run: the worker, and what is forgotten at a logout.

if ("serviceWorker" in navigator) {
  // Without it everything works but offline reading and notifications.
  navigator.serviceWorker.register("/service-worker.js", { scope: "/" }).catch(() => {});
}

document.addEventListener("submit", ({ target }) => {
  // The worker sees most logouts pass; not one from a page that was opened before it.
  if (target.getAttribute("action") === "/deconnexion") {
    navigator.serviceWorker?.ready.then(({ active }) => active.postMessage({ kind: "forget" }));
  }
});

if (document.querySelector("[data-install]")) await import(new URL("install.js", import.meta.url));
