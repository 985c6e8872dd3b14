// Notifications on this device: asked for on a click and never before; what cannot be is said in words.

const box = document.getElementById("cet-appareil");
const button = box.querySelector("button");
const form = document.getElementById("abonnement");

function say(name) {
  const phrase = document.querySelector(`#phrases-appareil [data-name="${name}"]`);
  box.querySelector('[role="status"]').textContent = phrase.textContent;
}

/** Why this browser cannot, or nothing. */
function obstacle() {
  // Safari on iPhone and iPad has push only once the portal is on the home screen.
  if (!("PushManager" in self) && "standalone" in navigator && !navigator.standalone) return "install";
  const needed = "serviceWorker" in navigator && "PushManager" in self && "Notification" in self;
  if (!needed) return "unable";
  if (Notification.permission === "denied") return "denied";
  return "";
}

function bytesOf(key) {
  const plain = atob(key.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

async function subscribe() {
  if ((await Notification.requestPermission()) !== "granted") {
    say(Notification.permission === "denied" ? "denied" : "dismissed");
    return;
  }
  const { pushManager } = await navigator.serviceWorker.ready;
  const known = await pushManager.getSubscription();
  // One that was made under another key of the server can never be written to again.
  if (known && !isOf(known, bytesOf(button.dataset.key))) await known.unsubscribe();
  const subscription = await pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: bytesOf(button.dataset.key),
  });
  const { endpoint, keys } = subscription.toJSON();
  for (const [name, value] of Object.entries({ endpoint, ...keys })) form.elements[name].value = value;
  form.submit();
}

function isOf(subscription, key) {
  const held = new Uint8Array(subscription.options.applicationServerKey ?? []);
  return held.length === key.length && held.every((byte, place) => byte === key[place]);
}

const found = obstacle();
if (found) say(found);
else button.hidden = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  say("asking");
  try {
    await subscribe();
  } catch {
    say("failed");
  } finally {
    button.disabled = false;
  }
});

// Removing this very device here also ends its subscription in the browser.
document.getElementById("retirer-cet-appareil")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const registration = await navigator.serviceWorker.getRegistration();
    await (await registration?.pushManager.getSubscription())?.unsubscribe();
  } finally {
    event.target.submit();
  }
});

// The device was kept just now: the worker tells when it moves from there.
if ("done" in box.dataset) {
  const { active, pushManager } = await navigator.serviceWorker.ready;
  const subscription = await pushManager?.getSubscription();
  if (subscription) active.postMessage({ kind: "subscribed", endpoint: subscription.endpoint });
}
