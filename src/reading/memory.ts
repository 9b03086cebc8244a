/**
 * How many bytes of instances and pixels the jobs of one worker hold at once.
 *
 * Each job has a small share that nobody else can take, so most studies never wait. One job at a time may grow beyond its share, into all
 * that is left over: since it waits for nobody, two large studies cannot wait for each other. What does not even fit then is refused.
 * An instance is counted when it has arrived, so each job may have one more that is on its way.
 */
import { WetreadError } from '#domain/errors.ts';

export interface Account {
  /** Counts bytes before they are made, or as soon as they have come; waits while another large study is read. @throws dicom-too-large */
  hold(bytes: number, what: string): Promise<void>;
  free(bytes: number): void;
  /** Gives everything back; it may be called twice. */
  close(): void;
}

export interface Memory {
  open(): Account;
  /** Bytes of all accounts together. */
  held(): number;
}

/** Half of everything is for the one large study. */
export function openMemory(maxBytes: number, jobs: number): Memory {
  const share = Math.floor(maxBytes / (2 * jobs));
  const most = maxBytes - share * (jobs - 1);
  let total = 0;
  let large: Account | null = null;
  const waiting: (() => void)[] = [];
  /** The large place, once it is free; in the order of asking. */
  const enlarge = async (account: Account): Promise<void> => {
    while (large !== null && large !== account) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await promise;
    }
    large = account;
  };
  const leave = (account: Account): void => {
    if (large !== account) return;
    large = null;
    waiting.shift()?.();
  };
  return {
    held: () => total,
    open() {
      let own = 0;
      const account: Account = {
        async hold(bytes, what) {
          if (own + bytes > most) {
            throw new WetreadError(
              'dicom-too-large',
              `${what}: the study needs ${own + bytes} bytes at once, at most ${most} may be held`,
              {
                hint: 'raise limits.pixelBytes if such studies are expected and the machine has the memory',
              },
            );
          }
          if (own + bytes > share) await enlarge(account);
          own += bytes;
          total += bytes;
        },
        free(bytes) {
          const freed = Math.min(bytes, own);
          own -= freed;
          total -= freed;
          if (own <= share) leave(account);
        },
        close: () => account.free(own),
      };
      return account;
    },
  };
}
