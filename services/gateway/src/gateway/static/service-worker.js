// The portal without a network. `APP` stands before this text as it is served: version, shell, offline,
// texts, icon, badge, notices (api/pwa.py).
"use strict";

importScripts(APP.notices);

const SHELL = `shell-${APP.version}`;
// Not of a version: what people read outlives an update, and STATE is three small texts.
const KEPT = "kept-1";
const STATE = "state-1";
const KEPT_FOR_MS = 7 * 24 * 3600 * 1000;
const INVOICES_KEPT = 10;
const LARGEST_BYTES = 5_000_000;
const LIST = "/factures";
// An invoice of the account or of a paper; its pages and documents stand below its own path.
const INVOICE = /^\/(?:factures\/[0-9a-f-]{36}|q\/[\w-]{22,64})(?=\/|$)/;
// The colours and the logo of an authority.
const LOOK = /^\/apparence\/./;
const FETCHED_AT = "X-Fetched-At";
// What is still being read when everything is forgotten must not be kept afterwards.
let forgotten = 0;

self.addEventListener("install", (event) => {
  // All or nothing, and without cookies: nothing of a person gets into the shell. No skipWaiting:
  // pages that are open keep the version that they began with.
  const files = APP.shell.map((path) => new Request(path, { credentials: "omit", cache: "reload" }));
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(files)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(takeOver());
});

async function takeOver() {
  for (const name of await caches.keys()) {
    if (![SHELL, KEPT, STATE].includes(name)) await caches.delete(name);
  }
  await tidy(await caches.open(KEPT));
  await self.clients.claim();
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.method === "POST" && url.pathname === "/deconnexion") event.waitUntil(forget());
  if (request.method !== "GET") return;
  if (url.pathname.startsWith("/static/")) event.respondWith(shellFile(request));
  else if (request.mode === "navigate") event.respondWith(visit(event, url));
  else if (INVOICE.test(url.pathname) || LOOK.test(url.pathname)) event.respondWith(part(event, url));
});

self.addEventListener("message", (event) => {
  const { kind, endpoint } = event.data ?? {};
  if (kind === "forget") event.waitUntil(forget());
  if (kind === "subscribed") event.waitUntil(remember("endpoint", endpoint));
});

// ---- Files and pages

async function shellFile(request) {
  const shell = await caches.open(SHELL);
  const found = await shell.match(request);
  if (found) return found;
  try {
    return await fetch(request);
  } catch {
    // A page that was kept by an older version asks for the files of that version.
    return (await shell.match(request, { ignoreSearch: true })) ?? Response.error();
  }
}

async function visit(event, url) {
  let response;
  try {
    response = await fetch(event.request);
  } catch {
    return offline(url);
  }
  const copy = response.clone();
  event.waitUntil(meet(response.headers.get("X-Account-Mark"), url).then(() => keep(url, copy)));
  return response;
}

async function part(event, url) {
  try {
    const response = await fetch(event.request);
    event.waitUntil(keep(url, response.clone()));
    return response;
  } catch {
    return (await kept(url)) ?? Response.error();
  }
}

/** Wipe when another account comes; read the badge off when its list is opened. */
async function meet(mark, url) {
  if (mark) {
    const known = await recall("account");
    if (known && known !== mark) await forget();
    await remember("account", mark);
    await handOver(await self.registration.pushManager?.getSubscription());
  }
  if (url.pathname === LIST) await setUnread([]);
}

// ---- What is kept

function keyOf(url) {
  return url.pathname;
}

async function keep(url, response) {
  const isList = url.pathname === LIST && ["", "?source=app"].includes(url.search);
  if (response.status !== 200 || response.redirected) return;
  if (!isList && !INVOICE.test(url.pathname) && !LOOK.test(url.pathname)) return;
  const type = response.headers.get("Content-Type") ?? "";
  const isPage = type.startsWith("text/html");
  // Of an invoice its own page alone: what stands below it asks, proves or pays.
  if (isPage && !isList && INVOICE.exec(url.pathname)?.[0] !== url.pathname) return;
  if (!isPage && !/^(application\/pdf|image\/|text\/css)/.test(type)) return;
  const before = forgotten;
  const read = await readAtMost(response, LARGEST_BYTES);
  if (read === null || forgotten !== before) return;
  const body = isPage ? readOnly(await read.text()) : read;
  const headers = { "Content-Type": type, [FETCHED_AT]: new Date().toISOString() };
  for (const name of ["Content-Security-Policy", "Content-Disposition", "Content-Language"]) {
    if (response.headers.has(name)) headers[name] = response.headers.get(name);
  }
  const cache = await caches.open(KEPT);
  // Deleted first, so that the order of the keys is the order of reading.
  await cache.delete(keyOf(url));
  await cache.put(keyOf(url), new Response(body, { headers }));
  await tidy(cache);
}

async function readAtMost(response, bytes) {
  const reader = response.body.getReader();
  const pieces = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(pieces);
    size += value.byteLength;
    if (size > bytes) {
      await reader.cancel();
      return null;
    }
    pieces.push(value);
  }
}

/** A page without what needs the network: forms with their seals, buttons, ways to pay. */
function readOnly(html) {
  return html
    .replace(/<form\b[\s\S]*?<\/form>/g, "")
    .replace(/<button\b[\s\S]*?<\/button>/g, "")
    .replace(/<p class="safe">[\s\S]*?<\/p>/g, "")
    .replace(/<a\b[^>]*href="(?:\/payer|\/q\/[^"\/]*\/payer)[^>]*>[\s\S]*?<\/a>/g, "");
}

function isFresh(response) {
  return Date.now() - Date.parse(response.headers.get(FETCHED_AT)) < KEPT_FOR_MS;
}

async function kept(url) {
  const found = await (await caches.open(KEPT)).match(keyOf(url));
  return found && isFresh(found) ? found : undefined;
}

async function tidy(cache) {
  const invoices = [];
  for (const key of (await cache.keys()).reverse()) {
    const invoice = INVOICE.exec(new URL(key.url).pathname)?.[0];
    if (invoice && !invoices.includes(invoice)) invoices.push(invoice);
    const isOld = invoice && invoices.indexOf(invoice) >= INVOICES_KEPT;
    if (isOld || !isFresh(await cache.match(key))) await cache.delete(key);
  }
}

/** Everything of a person leaves the device, and notifications with it. */
async function forget() {
  forgotten += 1;
  await Promise.all([caches.delete(KEPT), caches.delete(STATE)]);
  await self.navigator.clearAppBadge?.();
  const subscription = await self.registration.pushManager?.getSubscription();
  await subscription?.unsubscribe();
}

// ---- Offline

async function offline(url) {
  const found = await kept(url);
  if (!found) return listOfCopies();
  const when = found.headers.get(FETCHED_AT);
  if ((found.headers.get("Content-Type") ?? "").startsWith("text/html")) {
    const html = await found.text();
    const banner = `<p class="alert" role="status">${said(html, "stale", when)}</p>`;
    const shown = html.replace(/<main\b[^>]*>/, (main) => `${main}<div class="page">${banner}</div>`);
    return new Response(shown, { headers: found.headers });
  }
  // No banner can be written into a document: a page says what it is, and opens it.
  return url.searchParams.has("copie") ? found : listOfCopies({ path: url.pathname, when });
}

async function listOfCopies(opened) {
  const page = await (await caches.open(SHELL)).match(APP.offline);
  if (!page) return Response.error();
  const html = readOnly(await page.text());
  const texts = textsOf(html);
  let told = "";
  if (opened) {
    told += `<p class="alert" role="status">${said(html, "document", opened.when)}</p>
      <p class="actions"><a class="button" href="${opened.path}?copie">${texts.open}</a></p>`;
  }
  const copies = await titles();
  if (copies.length > 0) {
    const items = copies.map(({ path, title, when }) =>
      `<li><a href="${path}">${title}</a> <small>${moment(html, when)}</small></li>`);
    told += `<h2>${texts.kept}</h2><ul class="shares">${items.join("")}</ul>`;
  }
  return new Response(html.replace("<!-- copies -->", told), { status: 503, headers: page.headers });
}

/** The pages that are kept, newest first; titles are HTML already. */
async function titles() {
  const cache = await caches.open(KEPT);
  const found = [];
  for (const key of (await cache.keys()).reverse()) {
    const response = await cache.match(key);
    if (!response?.headers.get("Content-Type").startsWith("text/html") || !isFresh(response)) continue;
    const title = /<title>([\s\S]*?)<\/title>/.exec(await response.text())?.[1] ?? "";
    const path = new URL(key.url).pathname;
    const when = response.headers.get(FETCHED_AT);
    found.push({ path, title: title.replace(/ – Quittance\s*$/, ""), when });
  }
  return found;
}

function languageOf(html) {
  return /<html lang="en"/.test(html) ? "en" : "fr";
}

function textsOf(html) {
  return APP.texts[languageOf(html)];
}

function moment(html, when) {
  const form = { dateStyle: "long", timeStyle: "short", timeZone: "Europe/Paris" };
  return new Intl.DateTimeFormat(languageOf(html) === "en" ? "en-GB" : "fr-FR", form).format(
    new Date(when),
  );
}

function said(html, name, when) {
  return textsOf(html)[name].replace("%(when)s", moment(html, when));
}

// ---- Small texts that the worker remembers

async function remember(name, text) {
  await (await caches.open(STATE)).put(`/${name}`, new Response(text));
}

async function recall(name) {
  return (await (await caches.open(STATE)).match(`/${name}`))?.text();
}
