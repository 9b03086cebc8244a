/** A step that is run again and again until it is stopped: one run at a time, and a failure does not end it. */
import type { Logger } from 'pino';
import { codeOf, WetreadError } from '#domain/errors.ts';

export interface Repeated {
  /** Waits for the run that is going on. */
  stop(): Promise<void>;
}

/** Runs `step` now, and again `ms` after each end. */
export function every(ms: number, what: string, log: Logger, step: () => Promise<unknown>): Repeated {
  let stopped = false;
  let running: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout;
  const run = () => {
    running = step()
      .catch((error: unknown) =>
        log.error({ code: codeOf(error), err: error instanceof WetreadError ? undefined : error }, `${what} failed`),
      )
      .finally(() => {
        if (!stopped) timer = setTimeout(run, ms);
      });
  };
  timer = setTimeout(run, 0);
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
