/** A browser without a screen: keeps cookies by name and path, as browsers do for one host, and follows redirects one by one. */

interface Kept {
  readonly value: string;
  readonly path: string;
}

export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  /** Every address that was opened on the way, the last one included. */
  readonly way: readonly URL[];
}

export class Browser {
  readonly #cookies = new Map<string, Kept>();

  #header(path: string): string {
    const kept = [...this.#cookies].filter(([, cookie]) => path === cookie.path || path.startsWith(cookie.path.replace(/\/?$/, '/')));
    return kept.map(([key, { value }]) => `${key.slice(0, key.indexOf(' '))}=${value}`).join('; ');
  }

  /** Opens `start` and follows redirects until none is left or one leads to an address that starts with `stop`. */
  async open(start: string | URL, stop: string | null = null): Promise<Page> {
    const way: URL[] = [];
    let url = new URL(start);
    for (let hop = 0; hop < 12; hop += 1) {
      way.push(url);
      if (hop > 0 && stop !== null && url.href.startsWith(stop)) return { url, status: 0, headers: new Headers(), body: '', way };
      const response = await fetch(url, { redirect: 'manual', headers: { cookie: this.#header(url.pathname) } });
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        const path = /;\s*path=([^;]+)/i.exec(line)?.[1] ?? '/';
        this.#cookies.set(`${name} ${path}`, { value, path });
      }
      const body = await response.text();
      const location = response.headers.get('location');
      if (location === null) return { url, status: response.status, headers: response.headers, body, way };
      url = new URL(location, url);
    }
    throw new Error(`more than 12 redirects from ${start}`);
  }
}
