/** The dependency rule of docs/architecture.md is held by biome; here a forbidden import of each form is planted and must be found. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wetread-layers-'));
  const config: Record<string, unknown> = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'));
  delete config.vcs;
  writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...config, root: true, files: { includes: ['**'] } }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function lint(path: string, source: string): string {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), source);
  const result = spawnSync(process.execPath, [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'lint', '--colors=off', path], {
    cwd: folder,
    encoding: 'utf8',
  });
  return `${result.stdout}${result.stderr}`;
}

const forms = {
  'an import': "import { x } from '#work/store.ts';\nexport const y = x;\n",
  'a type import': "import type { Store } from '#work/store.ts';\nexport type Y = Store;\n",
  'a re-export': "export { x } from '#work/store.ts';\n",
  'a dynamic import': "export const y = () => import('#work/store.ts');\n",
  'a relative way out': "import { x } from '../../work/store.ts';\nexport const y = x;\n",
};

for (const [form, source] of Object.entries(forms)) {
  test(`${form} of another room in report/ is found`, () => {
    expect(lint('src/report/inner/planted.ts', source)).toContain('noRestrictedImports');
  });
}

test('domain may be imported, and the same file without a fault is clean', () => {
  expect(lint('src/report/fine.ts', "import { uidOf } from '#domain/uid.ts';\n\nexport const y = uidOf('a');\n")).not.toContain(
    'noRestrictedImports',
  );
});

test('every room of src/ is named in package.json imports', () => {
  const names = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `#${entry.name}/*`);
  const manifest: { imports: Record<string, string> } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) expect(Object.keys(manifest.imports)).toContain(name);
});
