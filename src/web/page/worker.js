// Keeps nothing: it is here so that the page can be installed, and so that a touched notification brings the page forward.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.matchAll({ type: "window", includeUncontrolled: true })
    .then((pages) => (pages.length ? pages[0].focus() : self.clients.openWindow("/"))));
});
