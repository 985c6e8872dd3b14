// What the worker says by itself: notifications, the badge of the application, and where this device
// is reached. `service-worker.js` loads this file and lends it its small texts.
"use strict";

const ALERTS = "/compte/alertes";

self.addEventListener("push", (event) => event.waitUntil(announce(event.data)));

async function announce(data) {
  let notice = {};
  try {
    notice = data?.json() ?? {};
  } catch {
    // Whatever came, browsers want something shown; it then says no more than that.
  }
  const language = notice.language === "en" ? "en" : "fr";
  const texts = APP.texts[language];
  const [title, body] = Array.isArray(texts[notice.kind]) ? texts[notice.kind] : texts.other;
  const tag = String(notice.tag ?? "quittance");
  await self.registration.showNotification(title, {
    body, tag, renotify: true, lang: language, icon: APP.icon, badge: APP.badge,
    data: { path: ownPath(notice.url) },
  });
  await setUnread([...new Set([...(await unread()), tag])]);
}

/** A path of this site, whatever the message says. */
function ownPath(text) {
  try {
    const url = new URL(String(text), self.location.origin);
    const isOurs = url.origin === self.location.origin && String(text).startsWith("/");
    if (isOurs) return url.pathname + url.search;
  } catch {
    // Not an address.
  }
  return LIST;
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openFrom(event.notification));
});

async function openFrom({ tag, data }) {
  await setUnread((await unread()).filter((one) => one !== tag));
  const path = ownPath(data?.path);
  const windows = await self.clients.matchAll({ type: "window" });
  const open = windows.find((client) => new URL(client.url).pathname === path) ?? windows[0];
  if (!open) return self.clients.openWindow(path);
  await open.focus();
  return new URL(open.url).pathname === path ? open : open.navigate(path);
}

async function unread() {
  return JSON.parse((await recall("unread")) ?? "[]");
}

async function setUnread(tags) {
  await remember("unread", JSON.stringify(tags));
  if (tags.length > 0) await self.navigator.setAppBadge?.(tags.length);
  else await self.navigator.clearAppBadge?.();
}

self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(renew(event));
});

async function renew({ newSubscription, oldSubscription }) {
  const options = oldSubscription?.options;
  const { pushManager } = self.registration;
  await handOver(newSubscription ?? (options && (await pushManager.subscribe(options))));
}

/**
 * Tell the portal that this device is reached elsewhere now: only where it was told before, and
 * under the session of the person; without one, the next visit does it.
 */
async function handOver(subscription) {
  const told = await recall("endpoint");
  if (!subscription || !told || told === subscription.endpoint) return;
  const page = await fetch(ALERTS);
  const seal = /name="formulaire" value="([\w-]+)"/.exec(await page.text())?.[1];
  if (page.redirected || !page.ok || !seal) return;
  const { endpoint, keys } = subscription.toJSON();
  const body = new URLSearchParams({ formulaire: seal, endpoint, ...keys });
  const answer = await fetch(`${ALERTS}/appareils`, { method: "POST", body, redirect: "manual" });
  if (answer.type === "opaqueredirect") await remember("endpoint", endpoint);
}
