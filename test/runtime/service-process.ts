/** A service with an engine, for a test that kills it: tells its parent the engine's process id. */
import { startDevice } from '#runtime/device.ts';

const [, , bundleDir = ''] = process.argv;
const device = await startDevice({ device: 'cpu', bundleDir, threads: 1, timeoutMs: 60_000 });
process.send?.(await device.processId());
setInterval(() => undefined, 1000);
