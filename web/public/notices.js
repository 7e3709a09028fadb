// The page's part that may show notices while its tab is in the background, and leads back to it.
// It answers no requests and keeps nothing.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    (async () => {
      const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
      const page = pages[0] ?? (await self.clients.openWindow(self.registration.scope));
      if (!page) return;
      await page.focus();
      page.postMessage({ twin: event.notification.data?.twin ?? "" });
    })(),
  );
});
