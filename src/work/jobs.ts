/**
 * The queue of drafts to be made, on pg-boss. The job holds the draft's key and nothing else; what it needs is the sealed snapshot.
 *
 * `exclusive` with the key as singleton: while a key is queued or active a second send does nothing. A worker that dies stops its
 * heartbeat, and the monitor gives the job to another.
 */
import { type JobWithMetadata, PgBoss } from 'pg-boss';
import type { Store } from './store.ts';

const queue = 'draft';

export interface Jobs {
  /** Queues a key; `interactive` goes first. Already queued or active: nothing happens. */
  enqueue(key: string, urgency: 'interactive' | 'background'): Promise<void>;
  /** Handles one key at a time. A thrown error is a failed attempt. `last` = no further attempt follows. */
  work(handle: (key: string, last: boolean) => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

export interface JobOptions {
  readonly attempts: number;
  /** A job is given up after this long, seconds. */
  readonly limitSeconds: number;
  readonly onError: (error: Error) => void;
}

interface DraftJob {
  readonly key: string;
}

export async function openJobs(store: Store, options: JobOptions): Promise<Jobs> {
  const boss = new PgBoss({
    db: { executeSql: (text, values) => store.executeSql(text, values) },
    schedule: false,
    superviseIntervalSeconds: 2,
    monitorIntervalSeconds: 2,
  });
  boss.on('error', options.onError);
  await boss.start();
  await boss.createQueue(queue, {
    policy: 'exclusive',
    retryLimit: options.attempts - 1,
    retryDelay: 1,
    retryBackoff: true,
    expireInSeconds: options.limitSeconds,
    heartbeatSeconds: 10,
  });
  return {
    async enqueue(key, urgency) {
      await boss.send(queue, { key } satisfies DraftJob, { singletonKey: key, priority: urgency === 'interactive' ? 10 : 0 });
    },
    async work(handle) {
      await boss.work(
        queue,
        { pollingIntervalSeconds: 0.5, batchSize: 1, includeMetadata: true },
        async (jobs: JobWithMetadata<DraftJob>[]) => {
          for (const job of jobs) await handle(job.data.key, job.retryCount >= job.retryLimit);
        },
      );
    },
    async stop() {
      await boss.stop({ graceful: true, timeout: 10_000 });
    },
  };
}
