/**
 * A thrown value as the log may have it: kind, code and place, never its message.
 *
 * A driver's or parser's message repeats what it stumbled over (a row, a header, a part of an answer), and that is a patient's.
 */

export interface Fault {
  readonly type: string;
  /** Ours, SQLSTATE, or the system's; null = it has none. */
  readonly code: string | null;
  /** Stack frames, innermost first. */
  readonly at: readonly string[];
  readonly cause: Fault | null;
}

const mostFrames = 12;
const mostCauses = 4;

function codeText(error: Error): string | null {
  const code: unknown = 'code' in error ? error.code : null;
  return typeof code === 'string' && /^[A-Za-z0-9_-]{1,50}$/.test(code) ? code : null;
}

/** Lines of the stack that are frames; the message, which may have lines that look like one, is taken out first. */
function framesOf({ stack = '', message }: Error): string[] {
  const frames = stack.split(message).at(-1) ?? '';
  return frames
    .split('\n')
    .filter((line) => /^ {4}at .*:\d+\)?$/.test(line))
    .slice(0, mostFrames)
    .map((line) => line.trim());
}

export function faultOf(error: unknown, depth = 0): Fault {
  if (!(error instanceof Error)) return { type: typeof error, code: null, at: [], cause: null };
  const type = /^\w{1,50}$/.test(error.name) ? error.name : 'Error';
  const cause = error.cause === undefined || depth >= mostCauses ? null : faultOf(error.cause, depth + 1);
  return { type, code: codeText(error), at: framesOf(error), cause };
}
