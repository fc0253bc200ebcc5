// Keeps the page's own files for use without a network, and takes pictures that are shared into the app.
// Results are never kept here: requests to the API always go to the service.

const SHELL = "glyphline-shell";
const SHARED = "glyphline-shared";
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
  if (url.origin !== self.location.origin || path.startsWith("api/") || path === "picture") return;
  if (event.request.method === "POST" && path === "share") event.respondWith(takeShared(event.request));
  if (event.request.method === "GET") event.respondWith(networkFirst(event.request));
});

async function networkFirst(request) {
  const cache = await caches.open(SHELL);
  try {
    const response = await fetch(request);
    const isShell = request.mode === "navigate" || (await cache.match(request, { ignoreSearch: true }));
    if (response.ok && isShell) await cache.put(request.url.split(/[?#]/)[0], response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    return kept ?? (request.mode === "navigate" ? await cache.match("./") : Response.error());
  }
}

async function takeShared(request) {
  const file = (await request.formData()).get("file");
  if (file) await (await caches.open(SHARED)).put("shared-picture", new Response(file));
  return Response.redirect("./?shared", 303);
}
