/** What every command shares: option parsers, the log, the progress line, and waiting for a signal. */
import { InvalidArgumentError } from 'commander';
import pino, { type Logger } from 'pino';
import { faultOf } from '#domain/fault.ts';

/** A whole number that is not negative. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number');
  return value;
}

/** Collects an option that may be given several times. */
export function several(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** Logs go to stderr, so that stdout is for results alone. Of an error they have kind, code and place: a message may repeat a patient's data. */
export function logger(level: string): Logger {
  return pino({ level, base: null, serializers: { err: faultOf } }, pino.destination(2));
}

/** What nobody caught ends the process, as it does anyway, but with its place in the log instead of its message on stderr. */
export function endOnUncaught(log: Logger): void {
  process.on('uncaughtException', (err) => {
    log.fatal({ code: 'internal', err }, 'a fault that nobody caught');
    process.exit(1);
  });
}

/** A line on stderr that overwrites itself on a terminal, and is left out elsewhere. */
export function progressLine(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
}

const BETWEEN_LINES_MS = 100;

/** `show`, but not more often than a person can read; what comes between is left out. */
export function seldom(show: (text: string) => void): (text: string) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (text) => {
    const now = performance.now();
    if (now - last < BETWEEN_LINES_MS) return;
    last = now;
    show(text);
  };
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Waits for SIGINT, SIGTERM or SIGHUP, then closes. */
export async function untilStopped(close: () => Promise<void>): Promise<void> {
  await new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop());
  });
  await close();
}
