/** Child process of a test: holds the lock of the folder given until it is killed. */
import { lockFolder } from '#work/lock.ts';

lockFolder(process.argv[2] ?? '');
process.send?.('locked');
setInterval(() => undefined, 1000);
