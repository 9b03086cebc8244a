/** docs/errors.md and the code list hold together in both directions. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { errorCodes } from '#domain/errors.ts';

const page = readFileSync(resolve(import.meta.dirname, '../docs/errors.md'), 'utf8');
const rows = [...page.matchAll(/^\| `([a-z0-9-]+)` \| (\d{3}) \| (.+) \| (.+) \|$/gm)];

test('every code is on the page, with its status, and the page names no other', () => {
  const onPage = Object.fromEntries(rows.map((row) => [row[1], Number(row[2])]));
  expect(rows.length).toBeGreaterThan(40);
  expect(onPage).toEqual(errorCodes);
});

test('every row says what it means and what to do', () => {
  for (const [, code, , meaning, remedy] of rows) {
    expect(meaning?.length, code).toBeGreaterThan(15);
    expect(remedy?.length, code).toBeGreaterThan(10);
  }
});
