// Keeps the page's own files for use without a network, and takes pictures that are shared into the app.
// Results are never kept here: requests to the API always go to the service.

const SHELL = "glyphline-shell";
const SHARED = "glyphline-shared";
const PATIENCE_MILLISECONDS = 2000; // with the network, where a file is kept
const OFFLINE_MILLISECONDS = 10_000; // for which it is waited for less, after it did not answer
const SHORT_PATIENCE_MILLISECONDS = 200;
const FILES = [
  "./", "style.css", "main.js", "reader.js", "key.js", "picture.js", "camera.js", "overlay.js", "speech.js", "text.js",
  "guidance.js", "store.js", "settings.js", "zip.js", "dialogs.js", "dom.js", "teach.js", "manifest.webmanifest", "icon.svg",
  "icon-192.png", "icon-512.png",
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const path = url.pathname.slice(new URL(self.registration.scope).pathname.length);
  if (url.origin !== self.location.origin || path.startsWith("api/")) return;
  if (event.request.method === "POST" && path === "share") event.respondWith(takeShared(event.request));
  if (event.request.method === "GET") event.respondWith(networkFirst(event));
});

let lastFailure = -Infinity; // when the network did not answer, ms

/** The file of the network, or after a while the one that is kept: a machine that sleeps does not even refuse. */
async function networkFirst(event) {
  const { request } = event;
  const cache = await caches.open(SHELL);
  const isPage = request.mode === "navigate";
  const kept = await cache.match(request, { ignoreSearch: true });
  const fetched = fetch(request).then(async (response) => {
    if (response.ok && (isPage || kept)) await cache.put(request.url.split(/[?#]/)[0], response.clone()).catch(() => {});
    return response;
  }).catch(() => { lastFailure = performance.now(); });
  if (!kept) return (await fetched) ?? (isPage ? await cache.match("./") : undefined) ?? Response.error();
  event.waitUntil(fetched);
  const isOffline = performance.now() - lastFailure < OFFLINE_MILLISECONDS;
  const patience = isOffline ? SHORT_PATIENCE_MILLISECONDS : PATIENCE_MILLISECONDS;
  const response = await Promise.race([fetched, new Promise((resolve) => setTimeout(resolve, patience))]);
  if (!response && !isOffline) lastFailure = performance.now();
  return response ?? kept;
}

async function takeShared(request) {
  const file = (await request.formData()).get("file");
  if (file) await (await caches.open(SHARED)).put("shared-picture", new Response(file));
  return Response.redirect("./?shared", 303);
}
