/** Worker thread of the embedded store: PGlite runs synchronously on its thread, so it must not be the service's. */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const { folder, socketPath } = workerData as { folder: string; socketPath: string }; // set by embedded.ts, same types

const database = await PGlite.create({ dataDir: folder });
// The service holds one connection; the second place is for its successor while a broken one is still closing.
const server = new PGLiteSocketServer({ db: database, path: socketPath, maxConnections: 2 });
await server.start();
parentPort?.postMessage('ready');
parentPort?.once('message', async () => {
  await server.stop();
  await database.close();
  parentPort?.postMessage('closed');
  parentPort?.close();
});
