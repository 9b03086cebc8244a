import { expect, test } from 'vitest';
import { doctorTable, examineMachine } from '#runtime/doctor.ts';

test('the doctor tries every provider and says of each that does not start why and what to do', async () => {
  const report = await examineMachine();
  expect(report.node.enough).toBe(true);
  expect(report.library.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(report.providers.map(({ provider }) => provider)).toEqual(['cuda', 'webgpu', 'cpu']);
  expect(report.providers.at(-1)).toMatchObject({ usable: true, reason: null, abilities: ['attention', 'window', 'softcap', 'rows8'] });
  for (const { usable, reason, hint } of report.providers) if (!usable) expect([reason, hint]).not.toContain(null);
  const table = doctorTable(report);
  expect(table.split('\n').length).toBe(4 + report.providers.length);
  expect(table).not.toContain('onnxruntime_src');
});
