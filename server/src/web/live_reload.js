// Keeps the page as its sources are: reloads it once the server has been started again, and exchanges its style sheet
// once that has been edited. `live_reload.rs` puts it into pages and tells it of both.
let server;
new EventSource("/dev/live-reload").onmessage = ({ data }) => {
  const now = JSON.parse(data);
  server ??= now.server;
  if (now.server !== server) {
    location.reload();
    return;
  }
  for (const link of document.querySelectorAll("link[rel=stylesheet]")) {
    if (link.getAttribute("href") !== now.stylesheet) link.href = now.stylesheet;
  }
};
