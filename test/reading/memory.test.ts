/** What a worker's jobs may hold at once: never more than the limit, and no job waits for ever. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openMemory } from '#reading/memory.ts';

describe('the memory of a worker', () => {
  test('a study that does not fit alone is dicom-too-large, with what it needs and what there is', async () => {
    const account = openMemory(800, 4).open();
    await account.hold(400, 'an instance');
    await expect(account.hold(200, 'the pixels of an image')).rejects.toMatchObject({
      code: 'dicom-too-large',
      message: expect.stringMatching(/pixels of an image: .* needs 600 bytes at once, at most 500/),
    });
  });

  test('a second large study waits until the first is done; small ones do not wait', async () => {
    const memory = openMemory(800, 4);
    const [first, second, small] = [memory.open(), memory.open(), memory.open()];
    await first.hold(300, 'an instance');
    let read = false;
    const waiting = second.hold(300, 'an instance').then(() => {
      read = true;
    });
    await small.hold(100, 'an instance');
    await small.hold(0, 'an instance');
    expect([read, memory.held()]).toEqual([false, 400]);
    first.close();
    await waiting;
    expect(memory.held()).toBe(400);
    second.close();
    small.close();
    small.close();
    expect(memory.held()).toBe(0);
  });

  test('whatever four jobs hold and free in whatever order, all of them come to their end within the limit', async () => {
    const job = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.array(job, { minLength: 4, maxLength: 12 }), fc.scheduler(), async (jobs, scheduler) => {
        const memory = openMemory(800, 4);
        let most = 0;
        let refused = 0;
        const queue = [...jobs];
        const worker = async () => {
          for (let steps = queue.shift(); steps !== undefined; steps = queue.shift()) {
            const account = memory.open();
            try {
              for (const [index, bytes] of steps.entries()) {
                await account.hold(bytes, 'an instance');
                most = Math.max(most, memory.held());
                await scheduler.schedule(Promise.resolve());
                if (index % 3 === 2) account.free(bytes);
              }
            } catch {
              refused += 1;
            } finally {
              account.close();
            }
          }
        };
        await scheduler.waitFor(Promise.all([worker(), worker(), worker(), worker()]));
        expect(most).toBeLessThanOrEqual(800);
        expect([queue.length, memory.held()]).toEqual([0, 0]);
        expect(refused).toBeLessThanOrEqual(jobs.filter((steps) => steps.reduce((sum, bytes) => sum + bytes, 0) > 500).length);
      }),
      { numRuns: 200 },
    );
  });
});
