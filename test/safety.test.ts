import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const page = readFileSync(join(import.meta.dirname, '../docs/safety.md'), 'utf8');
const controls = [...page.matchAll(/^\|.*\| `([^`]+\.test\.ts)`: (.+) \|$/gm)].map(([, file = '', title = '']) => ({ file, title }));

test('every control of docs/safety.md names a test that exists', () => {
  expect(controls.length).toBeGreaterThan(20);
  const missing = controls.filter(({ file, title }) => {
    const path = join(import.meta.dirname, file);
    return !existsSync(path) || !readFileSync(path, 'utf8').replaceAll("\\'", "'").includes(title);
  });
  expect(missing).toEqual([]);
});

test('no row of the table is without a test', () => {
  const table = page.slice(page.indexOf('| hazard |'), page.indexOf('## Threats'));
  const rows = table.split('\n').filter((line) => line.startsWith('|') && !/^\|(-|\s*hazard)/.test(line));
  expect(rows).toHaveLength(controls.length);
});
