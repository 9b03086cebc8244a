/**
 * A job's work as long as its bundle may write: a bundle that is stopped meanwhile ends the job, with its engine, within a second or two.
 *
 * What is still under way then (pixels on their way, calls to the engine) fails by itself; its result is thrown away.
 */
import { WetreadError } from '#domain/errors.ts';
import { bundleStops, checkNotStopped, stopFor, stopWords } from '#work/bundle-stops.ts';
import type { Query } from '#work/store.ts';
import type { Reader } from './bundles.ts';

const askAgainMs = 1000;

/** @throws bundle-stopped; what `work` throws */
export async function whileAllowed<Result>(reader: Reader, query: Query, work: (reader: Reader) => Promise<Result>): Promise<Result> {
  const id = { digest: reader.bundle.digest, name: reader.bundle.manifest.name };
  await checkNotStopped(query, id);
  const stopped = Promise.withResolvers<never>();
  let fault: WetreadError | null = null;
  const watch = async () => {
    // A store that does not answer is noticed by the work itself.
    const stop = stopFor(await bundleStops(query).catch(() => []), id);
    if (stop === null || fault !== null) return;
    fault = new WetreadError('bundle-stopped', stopWords(id.name, stop), { hint: 'wetread bundles list' });
    stopped.reject(fault);
    await reader.device.interrupt();
  };
  const timer = setInterval(() => void watch(), askAgainMs);
  const guarded: Reader = {
    ...reader,
    // A job that waited for its turn must not start the engine again.
    exclusive: (use) =>
      reader.exclusive(() => {
        if (fault !== null) throw fault;
        return use();
      }),
  };
  const done = work(guarded);
  done.catch(() => null); // after a stop nobody waits for it
  try {
    return await Promise.race([done, stopped.promise]);
  } finally {
    clearInterval(timer);
  }
}
