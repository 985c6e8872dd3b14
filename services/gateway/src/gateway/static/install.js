// The offer to install the portal: quiet, once after a payment, and never where it is installed.

const offer = document.querySelector("[data-install]");
const SHOWN = "install-shown";
const isInstalled = matchMedia("(display-mode: standalone)").matches || navigator.standalone === true;
// iPhones and iPads have no prompt: words say what to touch. `standalone` exists there alone.
const needsWords = "standalone" in navigator;
let prompt = null;

function mayShow() {
  if (isInstalled) return false;
  if (offer.dataset.install !== "once") return true;
  try {
    return localStorage.getItem(SHOWN) === null;
  } catch {
    return false; // A browser that keeps nothing would be asked each time.
  }
}

function show(name) {
  offer.querySelector(`[data-install-by="${name}"]`).hidden = false;
  offer.hidden = false;
  if (offer.dataset.install === "once") localStorage.setItem(SHOWN, "1");
}

if (mayShow()) {
  if (needsWords) show("words");
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    prompt = event;
    show("prompt");
  });
  offer.querySelector("button").addEventListener("click", async () => {
    await prompt.prompt();
    offer.hidden = true;
  });
}
