/**
 * A job's work as long as its bundle may write: a bundle that is stopped meanwhile ends the job, with its engine, within a second or two.
 *
 * What is still under way then (pixels on their way, calls to the engine) fails by itself; its result is thrown away.
 */
import { checkNotStopped, stoppedFault } from '#work/bundle-stops.ts';
import type { Query } from '#work/store.ts';
import type { Reader } from './bundles.ts';

const askAgainMs = 1000;

/** @throws bundle-stopped; what `work` throws */
export async function whileAllowed<Result>(reader: Reader, query: Query, work: (reader: Reader) => Promise<Result>): Promise<Result> {
  const id = { digest: reader.bundle.digest, name: reader.bundle.manifest.name };
  await checkNotStopped(query, id);
  const stopped = Promise.withResolvers<never>();
  // A store that does not answer is noticed by the work itself.
  const faultNow = () => stoppedFault(query, id).catch(() => null);
  const watch = async () => {
    const fault = await faultNow();
    if (fault === null) return;
    clearInterval(timer);
    stopped.reject(fault);
    await reader.device.interrupt();
  };
  const timer = setInterval(() => void watch(), askAgainMs);
  const guarded: Reader = {
    ...reader,
    // A job that waited for its turn must not start the engine again.
    exclusive: (use) =>
      reader.exclusive(async () => {
        await checkNotStopped(query, id);
        return use();
      }),
  };
  const done = work(guarded);
  done.catch(() => null); // after a stop nobody waits for it
  try {
    return await Promise.race([done, stopped.promise]);
  } catch (error) {
    // The engine may have been ended by the watch of another job, before our own saw the stop.
    throw (await faultNow()) ?? error;
  } finally {
    clearInterval(timer);
  }
}
