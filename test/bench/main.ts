/** `npm run bench`: each measurement beside a peer or a limit of the same run. Figures of a shared machine are orders of magnitude. */
import { cpus } from 'node:os';

process.stdout.write(`${cpus().length} cores, Node ${process.version}\n\n`);
await import('./films.ts');
await import('./resize.ts');
await import('./multipart.ts');
