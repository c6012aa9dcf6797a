// A browser without a window: keeps cookies, sends what forms send, and shows every redirect.

/** A page that came back: status, headers, text, and where it was. */
class Page {
  constructor(url, response, text) {
    this.url = url;
    this.status = response.status;
    this.headers = response.headers;
    this.text = text;
  }

  /** Where a redirect leads, absolute; `null` when it is none. */
  get location() {
    const location = this.headers.get('location');
    return location && new URL(location, this.url).href;
  }

  /** All forms: `{ method, action, fields }`, with the fields that a submission sends by itself. */
  get forms() {
    return [...this.text.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)].map(([, attributes, content]) => ({
      method: (attribute(attributes, 'method') ?? 'get').toUpperCase(),
      action: new URL(attribute(attributes, 'action') || this.url, this.url).href,
      fields: Object.fromEntries(inputs(content)),
    }));
  }

  /** The first form whose action has `path`. */
  form(path) {
    const form = this.forms.find(({ action }) => new URL(action).pathname === path);
    if (!form) throw new Error(`no form for ${path} in ${this.url} (${this.status}):\n${this.text}`);
    return form;
  }
}

function inputs(html) {
  return [...html.matchAll(/<input\b([^>]*)>/gi)]
    .map(([, attributes]) => [attribute(attributes, 'name'), attribute(attributes, 'value') ?? ''])
    .filter(([name]) => name);
}

function attribute(attributes, name) {
  const found = attributes.match(new RegExp(`(?:^|\\s)${name}=(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i'));
  return found && unescape(found[1] ?? found[2] ?? found[3]);
}

function unescape(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name) return named[name] ?? whole;
    return String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal));
  });
}

/** One person's cookies, and requests with them. Cookies belong to a host; ports do not separate them. */
export class Client {
  #cookies = new Map();

  /** A second client with a copy of these cookies: what a thief of the cookies would have. */
  clone() {
    const copy = new Client();
    for (const [host, jar] of this.#cookies) copy.#cookies.set(host, new Map(jar));
    return copy;
  }

  async request(url, { method = 'GET', fields, headers = {} } = {}) {
    const target = new URL(url);
    const init = { method, redirect: 'manual', headers: { accept: 'text/html', cookie: this.#header(target), ...headers } };
    if (fields) init.body = new URLSearchParams(fields);
    const response = await fetch(target, init);
    this.#keep(target, response.headers.getSetCookie());
    return new Page(target.href, response, await response.text());
  }

  get(url) {
    return this.request(url);
  }

  /** Submits `form` as a browser would from `page`: with its hidden fields and the `Origin` of the page. */
  submit(page, form, fields = {}) {
    const all = { ...form.fields, ...fields };
    if (form.method === 'GET') return this.get(`${form.action.split('?')[0]}?${new URLSearchParams(all)}`);
    return this.request(form.action, { method: 'POST', fields: all, headers: { origin: new URL(page.url).origin } });
  }

  /** Follows redirects with GET until there is a page; returns it and everything on the way. */
  async follow(page) {
    const hops = [];
    while (page.location) {
      hops.push(page);
      if (hops.length > 10) throw new Error(`too many redirects: ${hops.map(({ url }) => url).join('\n')}`);
      page = await this.get(page.location);
    }
    return { page, hops };
  }

  #header({ hostname }) {
    return [...(this.#cookies.get(hostname) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  #keep({ hostname }, setCookies) {
    const jar = this.#cookies.get(hostname) ?? new Map();
    this.#cookies.set(hostname, jar);
    for (const setCookie of setCookies) {
      const [pair, ...attributes] = setCookie.split(';').map((part) => part.trim());
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      if (isExpired(attributes)) jar.delete(name);
      else jar.set(name, value);
    }
  }
}

function isExpired(attributes) {
  return attributes.some((attribute) => {
    const [name, value] = attribute.split('=');
    if (/^max-age$/i.test(name)) return Number(value) <= 0;
    return /^expires$/i.test(name) && Date.parse(value) <= Date.now();
  });
}
