/**
 * The queue of drafts to be made, on pg-boss. The job holds the draft's key and nothing else; what it needs is the sealed snapshot.
 *
 * `exclusive` with the key as singleton: while a key is queued or active a second send does nothing. A worker that dies stops its
 * heartbeat, and the monitor gives the job to another.
 */
import { type Job, PgBoss } from 'pg-boss';
import { codeOf } from '#domain/errors.ts';
import type { Store } from './store.ts';

const queue = 'draft';

export interface Jobs {
  /** Queues a key; `interactive` goes first. Already queued or active: nothing happens. */
  enqueue(key: string, urgency: 'interactive' | 'background'): Promise<void>;
  /** Handles up to `atOnce` keys at a time, interactive ones first. A thrown error is a failed attempt. */
  work(handle: (key: string) => Promise<void>, atOnce: number): Promise<void>;
  stop(): Promise<void>;
}

export interface JobOptions {
  readonly attempts: number;
  /** A job is given up after this long, seconds. */
  readonly limitSeconds: number;
  /** Whether this process looks after jobs of workers that died. */
  readonly supervises: boolean;
  readonly onError: (error: Error) => void;
}

interface DraftJob {
  readonly key: string;
}

export async function openJobs(store: Store, options: JobOptions): Promise<Jobs> {
  const boss = new PgBoss({
    db: { executeSql: (text, values) => store.executeSql(text, values) },
    schedule: false,
    supervise: options.supervises,
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
    async work(handle, atOnce) {
      await boss.work(queue, { pollingIntervalSeconds: 0.5, batchSize: 1, localConcurrency: atOnce }, async (jobs: Job<DraftJob>[]) => {
        for (const { data } of jobs) {
          // The queue keeps what is thrown, with its causes: a message may repeat an answer or a row.
          await handle(data.key).catch((error: unknown) => {
            throw new Error(codeOf(error));
          });
        }
      });
    },
    async stop() {
      await boss.stop({ graceful: true, timeout: 10_000 });
    },
  };
}
