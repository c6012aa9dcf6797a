// Brings the islands of a page to life, if it has any. A page is complete without; so whatever fails here, fails alone.
const found = document.querySelectorAll('leptos-island');
if (found.length > 0) {
  // Both files at once, not one after the other.
  const module_or_path = fetch('WASM_URL');
  const app = await import('SCRIPT_URL');
  await app.default({ module_or_path });
  app.hydrate();
  // `Name_123`: the number is made from how the compiler writes the source, and another compiler may have built the server.
  const nameOf = (id) => id.replace(/_\d+$/, '');
  const start = new Map(Object.entries(app).map(([id, island]) => [nameOf(id), island]));
  for (const island of found) start.get(nameOf(island.dataset.component))?.(island);
  document.documentElement.dataset.islands = 'alive';
}
