/** An import in a process of its own, for tests that kill it or measure it: tells its parent how far it is and how it ended. */
import { readFileSync } from 'node:fs';
import { codeOf } from '#domain/errors.ts';
import { importCheckpoint } from '#model/import.ts';

const [, , from = '', to = '', weights = 'fp32'] = process.argv;
const tell = (message: object) => process.send?.(message);
try {
  const { report } = await importCheckpoint({
    from,
    to,
    weights: weights === 'int8' || weights === 'fp16' ? weights : 'fp32',
    progress: ({ bytes, ofBytes }) => tell({ share: bytes / ofBytes }),
  });
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  tell({ report, peakBytes: Number(peak) * 1024 });
} catch (error) {
  tell({ code: codeOf(error), message: error instanceof Error ? error.message : String(error) });
}
process.disconnect?.();
