import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseFeedback, parseOrderSign } from '#hooks/request.ts';
import { examples, projectRoot } from './examples.ts';

const Service = z.strictObject({
  id: z.literal('wetread-order-sign'),
  hook: z.literal('order-sign'),
  title: z.string().min(1),
  description: z.string().min(1),
  usageRequirements: z.string().min(1),
  prefetch: z.record(z.string(), z.string()),
});

const committedJson = (path: string): unknown => JSON.parse(readFileSync(join(projectRoot, path), 'utf8'));

test('the example request and feedback are such as the service takes', () => {
  expect(parseOrderSign(committedJson('cds-hooks/examples/request.json')).context.patientId).toBe('ada');
  expect(parseFeedback(committedJson('cds-hooks/examples/feedback-accepted.json')).feedback).toHaveLength(1);
  expect(parseFeedback(committedJson('cds-hooks/examples/feedback-overridden.json')).feedback).toHaveLength(1);
});

describe('the committed examples', () => {
  test.each([...examples()])('%s is what the program writes', (path, content) => {
    expect(JSON.parse(readFileSync(join(projectRoot, path), 'utf8'))).toEqual(JSON.parse(JSON.stringify(content)));
  });

  test('are all made by the program', () => {
    const folders = ['fhir-profiles/examples', 'cds-hooks/examples'];
    const committed = folders.flatMap((folder) => readdirSync(join(projectRoot, folder)).map((name) => `${folder}/${name}`));
    expect(committed.sort()).toEqual([...examples().keys()].sort());
  });
});

test('the service of cds-hooks/order-sign.json asks only what every client can resolve', () => {
  const service = Service.parse(JSON.parse(readFileSync(join(projectRoot, 'cds-hooks/order-sign.json'), 'utf8')));
  // CDS Hooks 2.0, Prefetch query restrictions: reads and searches with these parameters, and first-level context tokens only.
  const parameters = new Set(['patient', 'category', 'clinical-status', 'status', '_sort', '_count']);
  for (const [key, template] of Object.entries(service.prefetch)) {
    const filled = template.replaceAll(/\{\{context\.(patientId|encounterId)\}\}/g, 'x');
    expect(filled, key).not.toMatch(/[{}]/);
    const [path = '', query] = filled.split('?');
    expect(path, key).toMatch(query === undefined ? /^[A-Z][A-Za-z]+\/x$/ : /^[A-Z][A-Za-z]+$/);
    for (const name of new URLSearchParams(query ?? '').keys()) expect(parameters, `${key}: ${name}`).toContain(name);
    expect(filled, key).not.toContain(',');
  }
});
