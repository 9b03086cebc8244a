/**
 * Browser code without a bundler: `.ts` modules of one folder with their types stripped, the few library files they import by name, and
 * the page's head with an import map whose hash stands in the Content-Security-Policy.
 *
 * Only files of the folder and the listed libraries are served, by content hash, immutable. Source: Node `module.stripTypeScriptTypes`.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { Router } from 'express';

const require = createRequire(import.meta.url);

/** Bare imports of the browser code and the ES module of each. */
const libraries = {
  preact: 'preact.mjs',
  'preact/hooks': 'hooks.mjs',
  '@preact/signals': 'signals.mjs',
  '@preact/signals-core': 'signals-core.mjs',
} as const;

export interface PageOptions {
  readonly title: string;
  /** Module of the folder that the page starts with, e.g. `page.ts`. */
  readonly entry: string;
  /** Values for the page, read by the entry from `<meta name="wetread:NAME">`. */
  readonly meta: Readonly<Record<string, string>>;
}

export interface Assets {
  /** Serves everything under `prefix`. */
  readonly router: Router;
  page(options: PageOptions): string;
  /** Value of the Content-Security-Policy header. `frameAncestors` and `connect` are origins. */
  policy(options: {
    readonly frameAncestors: readonly string[];
    readonly connect: readonly string[];
    readonly images: readonly string[];
  }): string;
}

interface Served {
  readonly type: string;
  readonly body: string;
}

/** Path of a library's module file; beside the file that its package names for `require`, since the packages' exports hide the rest. */
function packageFile(bare: string, file: string): string {
  return join(dirname(require.resolve(bare)), file);
}

function collect(folder: string): Map<string, Served> {
  const files = new Map<string, Served>();
  for (const name of readdirSync(folder)) {
    const source = join(folder, name);
    if (name.endsWith('.ts')) files.set(name, { type: 'text/javascript', body: stripTypeScriptTypes(readFileSync(source, 'utf8')) });
    if (name.endsWith('.css')) files.set(name, { type: 'text/css', body: readFileSync(source, 'utf8') });
  }
  for (const [bare, file] of Object.entries(libraries)) {
    const body = readFileSync(packageFile(bare, file), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*$/m, '');
    files.set(`library/${bare.replaceAll('/', '-').replace('@', '')}.mjs`, { type: 'text/javascript', body });
  }
  return files;
}

const attribute = (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

/** @param prefix path under which `router` is mounted, e.g. `/assets/review`. */
export function browserAssets(folder: string, prefix: string): Assets {
  const files = collect(folder);
  const version = createHash('sha256')
    .update(JSON.stringify([...files]))
    .digest('hex')
    .slice(0, 16);
  const base = `${prefix}/${version}`;
  const importMap = JSON.stringify({
    imports: Object.fromEntries(
      Object.keys(libraries).map((bare) => [bare, `${base}/library/${bare.replaceAll('/', '-').replace('@', '')}.mjs`]),
    ),
  });
  const importMapHash = createHash('sha256').update(importMap).digest('base64');
  const router = Router();
  router.get(`${base}/{*name}`, (request, response, next) => {
    const { name } = request.params;
    const file = files.get(Array.isArray(name) ? name.join('/') : String(name));
    if (file === undefined) {
      next();
      return;
    }
    response.set('Cache-Control', 'public, max-age=31536000, immutable').type(file.type).send(file.body);
  });
  return {
    router,
    page: ({ title, entry, meta }) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${attribute(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
${Object.entries(meta)
  .map(([name, value]) => `<meta name="wetread:${name}" content="${attribute(value)}">`)
  .join('\n')}
<link rel="stylesheet" href="${base}/style.css">
<script type="importmap">${importMap}</script>
<script type="module" src="${base}/${entry}"></script>
</head>
<body><div id="page"></div><noscript>This page needs JavaScript.</noscript></body>
</html>
`,
    policy: ({ frameAncestors, connect, images }) =>
      [
        "default-src 'none'",
        `script-src 'self' 'sha256-${importMapHash}'`,
        "style-src 'self'",
        `img-src 'self' data: ${images.join(' ')}`.trim(),
        `connect-src 'self' ${connect.join(' ')}`.trim(),
        "form-action 'self'",
        "base-uri 'none'",
        `frame-ancestors ${frameAncestors.length === 0 ? "'none'" : frameAncestors.join(' ')}`,
      ].join('; '),
  };
}
